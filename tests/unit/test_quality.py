import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from tenuto.errors import MissingExtraError
from tenuto.evaluation.quality import (
    PSNR_CEILING_DB,
    Fidelity,
    fidelity,
    flip,
    psnr_db,
    temporal_psnr_db,
)
from tenuto.evaluation.structural_similarity import ms_ssim, ssim

SEEDS = st.integers(0, 2**31 - 1)
# A deadline would assert wall time.
few_examples = settings(deadline=None, max_examples=15)


def random_frames(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def flat_clip(*levels):
    """One flat 11 x 11 frame per level."""
    return torch.tensor(levels, dtype=torch.float64)[:, None, None, None].expand(-1, 3, 11, 11)


def test_psnr_of_an_error_of_a_tenth_everywhere_is_20_db():
    assert psnr_db(flat_clip(0.6), flat_clip(0.5)) == pytest.approx(20)


def test_psnr_is_the_mean_of_the_frames_not_the_psnr_of_the_mean_error():
    assert psnr_db(flat_clip(0.1, 0.01), flat_clip(0, 0)) == pytest.approx((20 + 40) / 2)


@few_examples
@given(SEEDS, st.integers(1, 20))
def test_psnr_equals_scikit_image_frame_by_frame(seed, num_frames):
    candidate = random_frames(seed, num_frames, 3, 5, 7)
    reference = random_frames(seed + 1, num_frames, 3, 5, 7)

    expected = np.mean(
        [
            peak_signal_noise_ratio(same.numpy(), some.numpy(), data_range=1)
            for some, same in zip(candidate, reference, strict=True)
        ]
    )
    assert psnr_db(candidate, reference) == pytest.approx(expected, abs=1e-6)


def test_psnr_of_uint8_counts_255_as_one():
    black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)

    assert psnr_db(black + 255, black) == pytest.approx(0, abs=1e-9)
    assert psnr_db(black + 1, black) == pytest.approx(20 * np.log10(255))


def test_psnr_of_equal_samples_is_none():
    frames = random_frames(0, 2, 3, 4, 4)

    assert psnr_db(frames, frames.clone()) is None


def test_a_frame_without_error_counts_as_the_ceiling_beside_one_with_error():
    assert psnr_db(flat_clip(0.5, 0.1), flat_clip(0.5, 0)) == pytest.approx(
        (PSNR_CEILING_DB + 20) / 2
    )


def test_an_error_too_small_to_see_has_the_ceiling_and_is_not_identical():
    reference = flat_clip(0.5)

    assert psnr_db(reference + 1e-9, reference) == PSNR_CEILING_DB


@few_examples
@given(SEEDS)
def test_psnr_measures_are_symmetric_and_fall_as_noise_grows(seed):
    reference = 0.25 + 0.5 * random_frames(seed, 3, 3, 4, 4)
    noise = random_frames(seed + 1, 3, 3, 4, 4) - 0.5

    for measure in (psnr_db, temporal_psnr_db):
        values = [measure(reference + scale * noise, reference) for scale in (0.1, 0.2, 0.4)]

        assert measure(reference, reference + 0.1 * noise) == pytest.approx(values[0])
        # Twice the error is 20 log10 2 dB less.
        assert np.diff(values) == pytest.approx([-6.0206, -6.0206], abs=1e-3)


def test_temporal_psnr_equals_the_psnr_of_frame_differences():
    candidate, reference = random_frames(1, 4, 3, 5, 5), random_frames(2, 4, 3, 5, 5)

    expected = np.mean(
        [
            peak_signal_noise_ratio(
                (reference[t + 1] - reference[t]).numpy(),
                (candidate[t + 1] - candidate[t]).numpy(),
                data_range=1,
            )
            for t in range(3)
        ]
    )
    assert temporal_psnr_db(candidate, reference) == pytest.approx(expected, abs=1e-9)


def test_temporal_psnr_sees_flicker_that_psnr_ranks_equal_to_a_constant_offset():
    reference = flat_clip(0.5, 0.5, 0.5)
    offset, flicker = flat_clip(0.6, 0.6, 0.6), flat_clip(0.6, 0.4, 0.6)

    assert psnr_db(offset, reference) == pytest.approx(psnr_db(flicker, reference))
    assert temporal_psnr_db(offset, reference) == PSNR_CEILING_DB
    assert temporal_psnr_db(flicker, reference) == pytest.approx(-20 * np.log10(0.2))


def test_temporal_psnr_of_uint8_does_not_wrap_around():
    reference = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    candidate = reference.clone()
    candidate[0] = 255

    assert temporal_psnr_db(candidate, reference) == pytest.approx(0, abs=1e-9)


def test_temporal_psnr_is_none_for_one_frame_and_for_equal_clips():
    assert temporal_psnr_db(flat_clip(0.1), flat_clip(0.2)) is None
    assert temporal_psnr_db(flat_clip(0.1, 0.2), flat_clip(0.1, 0.2)) is None


def test_flip_is_the_mean_of_what_the_package_says_of_each_frame():
    package = pytest.importorskip("flip_evaluator")
    candidate = random_frames(1, 2, 3, 9, 14)  # not square: rows and columns must not swap
    reference = random_frames(2, 2, 3, 9, 14)
    images = [
        frames.float().permute(0, 2, 3, 1).contiguous().numpy() for frames in (reference, candidate)
    ]

    maps = [
        package.evaluate(*pair, "LDR", applyMagma=False)[0] for pair in zip(*images, strict=True)
    ]
    assert flip(candidate, reference) == pytest.approx(np.mean(maps), abs=1e-5)


@few_examples
@given(SEEDS)
def test_flip_is_zero_for_equal_frames_symmetric_and_grows_with_noise(seed):
    pytest.importorskip("flip_evaluator")
    reference = 0.25 + 0.5 * random_frames(seed, 1, 3, 12, 12)
    noise = random_frames(seed + 1, 1, 3, 12, 12) - 0.5

    values = [flip(reference + scale * noise, reference) for scale in (0, 0.1, 0.25, 0.5)]

    assert values[0] == 0
    assert values == sorted(set(values))
    assert flip(reference, reference + 0.5 * noise) == pytest.approx(values[3], abs=1e-6)


def test_flip_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)

    with pytest.raises(MissingExtraError, match=r"flip-evaluator: pip install 'tenuto\[eval\]'"):
        flip(flat_clip(0.1), flat_clip(0.2))


def test_fidelity_collects_each_measure_under_its_name():
    pytest.importorskip("flip_evaluator")
    candidate, reference = random_frames(1, 2, 3, 24, 24), random_frames(2, 2, 3, 24, 24)

    assert fidelity(candidate, reference) == Fidelity(
        psnr_db=psnr_db(candidate, reference),
        ssim=ssim(candidate, reference),
        ms_ssim=ms_ssim(candidate, reference),
        flip=flip(candidate, reference),
        temporal_psnr_db=temporal_psnr_db(candidate, reference),
    )


def test_fidelity_leaves_its_inputs_as_they_were():
    candidate, reference = random_frames(1, 2, 3, 16, 16), random_frames(2, 2, 3, 16, 16)
    before = candidate.clone(), reference.clone()

    fidelity(candidate, reference, measure_flip=False)

    assert torch.equal(candidate, before[0])
    assert torch.equal(reference, before[1])


def test_fidelity_of_equal_samples_is_identical():
    pytest.importorskip("flip_evaluator")
    frames = random_frames(0, 2, 3, 16, 16)

    result = fidelity(frames, frames.clone())

    assert result.is_identical
    assert result == Fidelity(psnr_db=None, ssim=1.0, ms_ssim=1.0, flip=0.0, temporal_psnr_db=None)


def test_fidelity_is_not_identical_when_one_value_differs_in_the_last_bit():
    frames = random_frames(0, 1, 3, 16, 16)
    other = frames.clone()
    other[0, 0, 0, 0] = torch.nextafter(other[0, 0, 0, 0], torch.tensor(1.0, dtype=torch.float64))

    assert not fidelity(other, frames, measure_flip=False).is_identical


def test_fidelity_without_flip_needs_no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)

    different = fidelity(flat_clip(0.1), flat_clip(0.2), measure_flip=False)
    equal = fidelity(flat_clip(0.1), flat_clip(0.1), measure_flip=False)

    assert (different.flip, different.is_identical) == (None, False)
    assert (equal.flip, equal.is_identical) == (None, True)


@pytest.mark.parametrize("measure", [psnr_db, temporal_psnr_db, flip, fidelity])
def test_every_measure_refuses_samples_that_do_not_compare(measure):
    with pytest.raises(ValueError, match="`candidate` must have the shape of `reference`"):
        measure(flat_clip(0.1), flat_clip(0.1, 0.1))
