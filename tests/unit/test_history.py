import pytest
import torch

from tenuto.integration.history import History


def pushed(predict, values, bits=None, fitted=None):
    """A history of one number at each of some steps."""
    history = History(predict, bits, fitted)
    for step, value in values:
        history.push(step, (torch.full((1, 2, 3), float(value)),))
    return history


@pytest.mark.parametrize(
    ("predict", "expected"), [("hold", 4.0), ("linear", 7.0), ("quadratic", 8.0)]
)
def test_a_parabola_is_forecast_from_its_last_values(predict, expected):
    history = pushed(predict, [(0, 0), (1, 1), (2, 4)])

    assert history.forecast(3)[0].unique().tolist() == [expected]


def test_dense_steps_may_be_unevenly_spaced():
    history = pushed("linear", [(0, 0), (4, 8), (10, 20)])

    assert history.forecast(13)[0].unique().tolist() == [26.0]


@pytest.mark.parametrize(("predict", "length"), [("hold", 1), ("linear", 2), ("quadratic", 3)])
def test_no_more_is_remembered_than_is_weighed(predict, length):
    history = pushed(predict, [(step, step) for step in range(6)])

    assert history.num_outputs == len(list(history.tensors())) == length


def test_a_new_history_is_empty():
    assert History("hold", None, None).is_empty
    assert not pushed("hold", [(0, 1)]).is_empty


def test_image_and_text_streams_are_forecast_each_from_its_own():
    history = History("linear", None, None)
    history.push(0, (torch.zeros(1, 2, 3), torch.ones(1, 4, 3)))
    history.push(1, (torch.ones(1, 2, 3), torch.ones(1, 4, 3)))

    image, text = history.forecast(2)

    assert image.unique().tolist() == [2.0]
    assert text.unique().tolist() == [1.0]


def test_a_slice_of_a_longer_sequence_does_not_pin_the_rest():
    sequence = torch.randn(1, 10, 3)
    history = History("hold", None, None)

    history.push(0, (sequence[:, 7:], sequence[:, :7].contiguous()))

    assert all(t.untyped_storage().nbytes() == t.nbytes for t in history.tensors())
    assert torch.equal(history.forecast(1)[0], sequence[:, 7:])


def test_int8_history_comes_back_in_its_first_dtype_and_close():
    output = torch.randn(1, 4, 8).bfloat16()
    history = History("hold", 8, None)

    history.push(0, (output,))
    (forecast,) = history.forecast(1)

    assert forecast.dtype == torch.bfloat16
    assert {t.dtype for t in history.tensors()} == {torch.int8, torch.float32}
    torch.testing.assert_close(forecast, output, rtol=0, atol=output.abs().max().item() / 127)


def test_fitted_weights_are_those_of_the_step_and_of_each_channel():
    fitted = torch.zeros(4, 3, 3)
    fitted[3, 0] = torch.tensor([1.0, 2.0, 3.0])
    fitted[3, 1] = torch.tensor([0.0, 0.0, 1.0])

    history = pushed("fitted", [(0, 10), (2, 1)], fitted=fitted)

    assert history.forecast(3)[0][0, 0].tolist() == [1.0, 2.0, 13.0]


@pytest.mark.parametrize("bits", [None, 8])
def test_fitted_weights_are_applied_in_the_dtype_of_the_outputs(bits):
    history = History("fitted", bits, torch.ones(4, 3, 3))
    history.push(0, (torch.ones(1, 2, 3).bfloat16(),))

    assert history.forecast(1)[0].dtype == torch.bfloat16


def test_text_beside_fitted_weights_is_forecast_linearly():
    history = History("fitted", None, torch.ones(4, 3, 3))
    for step in range(2):
        history.push(step, (torch.ones(1, 2, 3), torch.full((1, 4, 3), float(step))))

    assert history.forecast(2)[1].unique().tolist() == [2.0]
