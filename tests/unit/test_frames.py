import pytest
import torch

from tenuto.evaluation.frames import check_comparable, mean_over_frames, unit_frames


def test_check_accepts_equal_shapes_in_uint8_and_every_float_dtype():
    for dtype in (torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        sample = torch.ones(2, 3, 4, 5).to(dtype)

        assert check_comparable(sample, sample) is None


def test_check_accepts_frames_that_carry_a_gradient():
    sample = torch.full((1, 3, 2, 2), 0.5, requires_grad=True)

    assert check_comparable(sample, sample) is None


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((2, 3, 4), r"shape \(frames, 3, height, width\), got \(2, 3, 4\)"),
        ((3, 4, 4), r"shape \(frames, 3, height, width\), got \(3, 4, 4\)"),
        ((2, 4, 4, 3), r"shape \(frames, 3, height, width\), got \(2, 4, 4, 3\)"),
        ((0, 3, 4, 4), r"shape \(frames, 3, height, width\), got \(0, 3, 4, 4\)"),
    ],
)
def test_check_names_a_sample_that_is_not_frames_of_three_channels(shape, text):
    good, bad = torch.zeros(2, 3, 4, 4), torch.zeros(shape)

    with pytest.raises(ValueError, match="`candidate` must have " + text):
        check_comparable(bad, good)
    with pytest.raises(ValueError, match="`reference` must have " + text):
        check_comparable(good, bad)


def test_check_names_both_shapes_when_they_differ():
    with pytest.raises(ValueError, match=r"got \(2, 3, 4, 4\) and \(2, 3, 4, 5\)"):
        check_comparable(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 5))


def test_check_refuses_uint8_against_float():
    frames = torch.zeros(1, 3, 4, 4)

    with pytest.raises(TypeError, match=r"got torch.uint8 and torch.float32"):
        check_comparable(frames.to(torch.uint8), frames)


def test_check_refuses_integers_other_than_uint8():
    frames = torch.zeros(1, 3, 4, 4, dtype=torch.int64)

    with pytest.raises(TypeError, match=r"`candidate` must be uint8 or floating, got torch.int64"):
        check_comparable(frames, frames)


def test_check_refuses_what_is_not_a_tensor():
    with pytest.raises(TypeError, match=r"`reference` must be a torch.Tensor, got list"):
        check_comparable(torch.zeros(1, 3, 4, 4), [0.0])


@pytest.mark.parametrize("value", [-0.01, 1.01, 255.0, float("nan"), float("inf")])
def test_check_refuses_a_single_value_outside_the_unit_range(value):
    good = torch.full((2, 3, 4, 4), 0.5)
    bad = good.clone()
    bad[1, 2, 3, 0] = value

    with pytest.raises(ValueError, match=r"`reference` must lie in \[0, 1\], got values from"):
        check_comparable(good, bad)


def test_unit_frames_scales_uint8_and_leaves_floats():
    assert unit_frames(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [0.0, 1.0]
    assert unit_frames(torch.tensor([0.25, 1.0])).tolist() == [0.25, 1.0]


def test_mean_over_frames_counts_each_frame_once_when_they_come_in_unequal_portions():
    frames = torch.zeros(17, 3, 2, 2)
    frames[16] = 1.0  # alone in the last portion

    mean = mean_over_frames(lambda some, _: some.mean(dim=(1, 2, 3)), frames, frames)

    assert mean == pytest.approx(1 / 17)


def test_mean_over_frames_never_holds_a_long_clip_at_once():
    seen = []

    def measure(some, same):
        seen.append(len(some))
        return torch.zeros(len(same))

    mean_over_frames(measure, torch.zeros(40, 3, 1, 1), torch.zeros(40, 3, 1, 1))

    assert sum(seen) == 40
    assert max(seen) <= 16
