import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from tenuto.evaluation.structural_similarity import ms_ssim, scale_weights, ssim

SEEDS = st.integers(0, 2**31 - 1)
# A deadline would assert wall time.
few_examples = settings(deadline=None, max_examples=15)


def random_frames(seed, *shape):
    """Smooth shapes with some noise, so that structure, contrast and luminance all matter."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(shape[0], 3, 4, 4, generator=generator, dtype=torch.float64)
    smooth = torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear")
    noise = torch.rand(smooth.shape, generator=generator, dtype=torch.float64)
    return 0.8 * smooth + 0.2 * noise


def skimage_ssim(candidate, reference, data_range=1.0):
    return np.mean(
        [
            structural_similarity(
                one.numpy(),
                other.numpy(),
                channel_axis=0,
                data_range=data_range,
                gaussian_weights=True,
                use_sample_covariance=False,
            )
            for one, other in zip(candidate, reference, strict=True)
        ]
    )


def slow_ms_ssim(x, y, weights):
    """MS-SSIM of one channel, written down from the paper with a full 11 x 11 window."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(image):
        windows = np.lib.stride_tricks.sliding_window_view(image, (11, 11))
        return (windows * window).sum(axis=(2, 3))

    result = 1.0
    for scale, weight in enumerate(weights):
        covariance = mean(x * y) - mean(x) * mean(y)
        variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
        contrast = (2 * covariance + 0.0009) / (variances + 0.0009)
        luminance = (2 * mean(x) * mean(y) + 0.0001) / (mean(x) ** 2 + mean(y) ** 2 + 0.0001)
        is_last = scale == len(weights) - 1
        result *= np.mean(luminance * contrast if is_last else contrast) ** weight
        x, y = (
            sum(
                i[r : r + 2 * (i.shape[0] // 2) : 2, c : c + 2 * (i.shape[1] // 2) : 2]
                for r in (0, 1)
                for c in (0, 1)
            )
            / 4
            for i in (x, y)
        )
    return result


@few_examples
@given(SEEDS, st.integers(11, 40), st.integers(11, 40))
def test_ssim_equals_scikit_image(seed, height, width):
    candidate = random_frames(seed, 2, height, width)
    reference = random_frames(seed + 1, 2, height, width)

    assert ssim(candidate, reference) == pytest.approx(skimage_ssim(candidate, reference), abs=1e-6)


def test_ssim_of_uint8_equals_scikit_image_at_data_range_255():
    candidate, reference = (
        (random_frames(seed, 3, 24, 30) * 255).round().to(torch.uint8) for seed in (1, 2)
    )

    expected = skimage_ssim(candidate, reference, data_range=255)
    assert ssim(candidate, reference) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_a_clip_longer_than_one_portion_equals_scikit_image():
    candidate, reference = random_frames(3, 19, 16, 16), random_frames(4, 19, 16, 16)

    assert ssim(candidate, reference) == pytest.approx(skimage_ssim(candidate, reference), abs=1e-6)


def test_ssim_of_two_flat_frames_is_the_luminance_term():
    dark, bright = torch.full((1, 3, 11, 11), 0.2), torch.full((1, 3, 11, 11), 0.4)

    assert ssim(dark, bright) == pytest.approx((2 * 0.08 + 1e-4) / (0.2 + 1e-4), abs=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "weights"),
    [
        (64, 64, [0.0448, 0.2856, 0.3001]),
        (47, 61, [0.0448, 0.2856, 0.3001]),
        (23, 40, [0.0448, 0.2856]),
        (12, 21, [0.0448]),
        (176, 178, [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]),
    ],
)
def test_ms_ssim_equals_the_slow_reference(height, width, weights):
    reference = random_frames(5, 1, height, width)
    candidate = 0.7 * reference + 0.3 * random_frames(6, 1, height, width)
    normalised = [weight / sum(weights) for weight in weights]

    channels = zip(candidate[0].numpy(), reference[0].numpy(), strict=True)
    expected = np.mean([slow_ms_ssim(*channel, normalised) for channel in channels])
    assert ms_ssim(candidate, reference) == pytest.approx(expected, abs=1e-9)


@given(st.integers(11, 5000), st.integers(11, 5000))
def test_scale_weights_sum_to_one_and_keep_every_scale_at_window_size(height, width):
    weights = scale_weights(height, width)

    assert sum(weights) == pytest.approx(1)
    assert min(height, width) >> (len(weights) - 1) >= 11
    assert len(weights) == 5 or min(height, width) >> len(weights) < 11


@few_examples
@given(SEEDS)
def test_both_are_one_for_equal_frames_and_symmetric(seed):
    candidate, reference = random_frames(seed, 2, 24, 24), random_frames(seed + 1, 2, 24, 24)

    for measure in (ssim, ms_ssim):
        assert measure(candidate, candidate) == 1.0
        assert measure(candidate, reference) == pytest.approx(
            measure(reference, candidate), abs=1e-12
        )
        assert measure(candidate, reference) < 1.0


@few_examples
@given(SEEDS)
def test_both_fall_as_noise_grows(seed):
    reference = 0.25 + 0.5 * random_frames(seed, 1, 32, 32)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(reference.shape, generator=generator, dtype=torch.float64) - 0.5

    for measure in (ssim, ms_ssim):
        values = [measure(reference + scale * noise, reference) for scale in (0, 0.05, 0.1, 0.25)]

        assert values == sorted(values, reverse=True)
        assert len(set(values)) == 4


def test_ms_ssim_of_an_inverted_checkerboard_is_zero_where_ssim_is_negative():
    board = (torch.arange(24)[:, None] + torch.arange(24)) % 2 * 1.0
    frames = board.expand(1, 3, 24, 24)

    assert ssim(1 - frames, frames) < -0.9
    assert ms_ssim(1 - frames, frames) == 0.0


def test_ms_ssim_forgives_fine_noise_more_than_a_coarse_shift_of_equal_energy():
    reference = torch.full((1, 3, 64, 64), 0.5) + 0.2 * torch.linspace(-1, 1, 64)
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 2 - 1) * 0.1
    half = torch.where(torch.arange(64) % 32 < 16, 0.1, -0.1).expand(64, 64)

    assert ms_ssim(reference + board, reference) > ms_ssim(reference + half, reference)
    assert ssim(reference + board, reference) < ssim(reference + half, reference)


@pytest.mark.parametrize("measure", [ssim, ms_ssim])
def test_frames_smaller_than_the_window_are_refused(measure):
    frames = torch.zeros(1, 3, 10, 64)

    with pytest.raises(ValueError, match=r"at least 11 pixels high and wide .* got 10 x 64"):
        measure(frames, frames)


@pytest.mark.parametrize("measure", [ssim, ms_ssim])
def test_samples_that_do_not_compare_are_refused(measure):
    with pytest.raises(ValueError, match="`candidate` must have the shape of `reference`"):
        measure(torch.zeros(1, 3, 16, 16), torch.zeros(2, 3, 16, 16))
