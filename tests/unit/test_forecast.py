import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.algorithms.forecast import QuantizedRows, taylor_weights, weighted_sum

# Strictly falling step numbers, then a later one to forecast.
histories = st.lists(st.integers(0, 40), min_size=2, max_size=4, unique=True).map(
    lambda steps: sorted(map(float, steps), reverse=True)
)
orders = st.integers(0, 2)
few_examples = settings(max_examples=50)


@few_examples
@given(histories, orders)
def test_weights_sum_to_one_so_that_what_rests_stays(steps, order):
    time, *times = steps

    assert sum(taylor_weights(times, time, order)) == pytest.approx(1, abs=1e-9)


@few_examples
@given(histories, st.integers(1, 2), st.floats(-3, 3), st.floats(-3, 3))
def test_a_forecast_of_order_one_or_two_is_exact_on_lines(steps, order, height, slope):
    time, *times = steps
    if len(times) == 1:
        return

    forecast = sum(
        weight * (height + slope * t)
        for weight, t in zip(taylor_weights(times, time, order), times, strict=False)
    )

    assert forecast == pytest.approx(height + slope * time, abs=1e-6)


@few_examples
@given(histories)
def test_a_quadratic_forecast_has_the_true_second_derivative_however_uneven_the_steps(steps):
    # On t^2 the one-sided slope at t0 is off by its gap g; the rest of the Taylor polynomial is
    # right: t0^2 + (2 t0 - g) s + s^2.
    time, *times = steps
    if len(times) < 3:
        return

    weights = taylor_weights(times, time, 2)

    ahead, gap = time - times[0], times[0] - times[1]
    forecast = sum(weight * t * t for weight, t in zip(weights, times, strict=True))
    assert forecast == pytest.approx(time**2 - gap * ahead, rel=1e-9, abs=1e-6)


def test_a_quadratic_forecast_one_step_on_a_parabola_of_unit_steps():
    weights = taylor_weights([2.0, 1.0, 0.0], 3.0, 2)

    # f = 4, f' = 3, f'' = 2: 4 + 3 + 1, where the parabola itself has 9.
    assert weights == (2.5, -2.0, 0.5)


def test_a_history_too_short_lowers_the_order():
    assert taylor_weights([4.0], 5.0, 2) == (1.0,)
    assert taylor_weights([4.0, 2.0], 5.0, 2) == taylor_weights([4.0, 2.0], 5.0, 1)


def test_a_history_longer_than_the_order_is_used_as_far_as_the_order_goes():
    assert taylor_weights([4.0, 2.0, 0.0], 5.0, 1) == (1.5, -0.5)


def test_uneven_steps_scale_the_slope_by_their_own_gap():
    assert taylor_weights([10.0, 5.0], 12.0, 1) == pytest.approx((1.4, -0.4))


def test_a_weighted_sum_adds_what_its_weights_say():
    outputs = [torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, 20.0]])]

    assert weighted_sum(outputs, (2.0, -0.5)).tolist() == [[-3.0, -6.0]]


def test_a_weighted_sum_ignores_outputs_without_a_weight():
    outputs = [torch.tensor([[1.0]]), torch.tensor([[10.0]]), torch.tensor([[100.0]])]

    assert weighted_sum(outputs, (2.0, -0.5)).tolist() == [[-3.0]]


def test_weights_of_channels_apply_each_to_its_own():
    outputs = [torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, 20.0]])]
    weights = torch.tensor([[1.0, 0.0], [0.0, 0.5]])

    assert weighted_sum(outputs, weights).tolist() == [[1.0, 10.0]]


def test_a_weighted_sum_leaves_the_history_alone():
    outputs = [torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, 20.0]])]

    weighted_sum(outputs, (2.0, -0.5))
    weighted_sum(outputs, torch.tensor([[1.0, 0.5], [0.0, 0.5]]))

    assert outputs[0].tolist() == [[1.0, 2.0]]
    assert outputs[1].tolist() == [[10.0, 20.0]]


@few_examples
@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    st.floats(1e-4, 1e3),
)
def test_an_entry_of_int8_rows_is_off_by_half_a_scale_at_most(seed, dtype, size):
    tensor = torch.randn(3, 5, generator=torch.Generator().manual_seed(seed)).mul(size).to(dtype)

    rows = QuantizedRows.quantize(tensor)

    restored = rows.dequantize()
    # Rounding to int8 costs half a scale; rounding the product to the dtype its epsilon.
    slack = tensor.float().abs() * torch.finfo(dtype).eps + rows.scales * 1e-4
    assert restored.dtype == dtype
    assert ((restored.float() - tensor.float()).abs() <= 0.5 * rows.scales + slack).all()


def test_the_largest_entry_of_an_int8_row_uses_the_whole_range():
    rows = QuantizedRows.quantize(torch.tensor([[0.5, -2.0], [0.0, 1e-3]]))

    assert rows.values.tolist() == [[32, -127], [0, 127]]


def test_a_row_of_zeros_stays_zero_in_int8():
    assert QuantizedRows.quantize(torch.zeros(2, 3)).dequantize().tolist() == [[0.0] * 3] * 2


def test_int8_rows_hold_one_byte_a_value_and_four_a_row():
    rows = QuantizedRows.quantize(torch.ones(2, 3, 10))

    assert rows.values.nbytes + rows.scales.nbytes == 2 * 3 * (10 + 4)
