"""Fidelity of one generated sample to the untouched run's: PSNR, SSIM, MS-SSIM, FLIP, temporal."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tenuto.errors import MissingExtraError
from tenuto.evaluation.frames import check_comparable, mean_over_frames, unit_frames
from tenuto.evaluation.structural_similarity import ms_ssim, ssim

PSNR_CEILING_DB = 100.0
"""PSNR of a frame without error; a frame of 64 x 64 with one 8-bit level wrong once has 89 dB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How close one sample is to the reference sample of the same prompt and seed.

    `psnr_db` is None when the sample equals the reference everywhere. `temporal_psnr_db` is None
    then too, and when there is a single frame. `flip` (0 is equal) is None when not measured.
    """

    psnr_db: float | None
    ssim: float
    ms_ssim: float
    flip: float | None
    temporal_psnr_db: float | None

    @property
    def is_identical(self) -> bool:
        """Whether sample and reference are equal in every value."""
        return self.psnr_db is None


def fidelity(candidate: Tensor, reference: Tensor, *, measure_flip: bool = True) -> Fidelity:
    """Measure one sample against its reference in every way that needs no download.

    Args:
        candidate: (frames, 3, height, width), uint8 or floating values in [0, 1]; an image is
            one frame.
        reference: The same shape and dtype.
        measure_flip: False leaves `flip` None and needs no extra.

    Returns:
        Every measure, each the mean over the frames.

    Raises:
        TypeError: A dtype is wrong or the two differ.
        ValueError: Shapes, range or size do not allow the comparison.
        MissingExtraError: FLIP is wanted and `flip-evaluator` is not installed.

    >>> frames = torch.zeros(2, 3, 16, 16)
    >>> fidelity(frames + 0.1, frames, measure_flip=False).is_identical
    False
    """
    return Fidelity(
        psnr_db=psnr_db(candidate, reference),
        ssim=ssim(candidate, reference),
        ms_ssim=ms_ssim(candidate, reference),
        flip=flip(candidate, reference) if measure_flip else None,
        temporal_psnr_db=temporal_psnr_db(candidate, reference),
    )


def psnr_db(candidate: Tensor, reference: Tensor) -> float | None:
    """Peak signal-to-noise ratio at data range 1, mean over the frames.

    A frame counts for `PSNR_CEILING_DB` at most, so that one frame that comes out equal does not
    make the mean infinite.

    Args:
        candidate: (frames, 3, height, width), uint8 or floating values in [0, 1].
        reference: The same shape and dtype.

    Returns:
        Decibels in [0, 100], or None when the samples are equal in every value.

    Raises:
        TypeError: See `check_comparable`.
        ValueError: See `check_comparable`.

    >>> round(psnr_db(torch.full((1, 3, 2, 2), 0.1), torch.zeros(1, 3, 2, 2)), 3)
    20.0
    """
    check_comparable(candidate, reference)
    if torch.equal(candidate, reference):
        return None
    return mean_over_frames(_frame_psnr_db, candidate, reference)


def temporal_psnr_db(candidate: Tensor, reference: Tensor) -> float | None:
    """PSNR between the frame-to-frame differences of two clips: flicker and wrong motion lower it.

    The data range stays 1, so the number is read on the scale of `psnr_db`. An error that does
    not change with time is not seen: such a clip has the ceiling, 100 dB.

    Args:
        candidate: (frames, 3, height, width), uint8 or floating values in [0, 1].
        reference: The same shape and dtype.

    Returns:
        Decibels, mean over the frames - 1 transitions; at least -6.03. None when the samples are
        equal in every value or have one frame.

    Raises:
        TypeError: See `check_comparable`.
        ValueError: See `check_comparable`.
    """
    check_comparable(candidate, reference)
    if candidate.shape[0] == 1 or torch.equal(candidate, reference):
        return None
    # A difference of differences is the difference of the errors.
    errors = unit_frames(candidate) - unit_frames(reference)
    return _psnr_db_from_errors(errors[1:] - errors[:-1]).mean().item()


def flip(candidate: Tensor, reference: Tensor) -> float:
    """LDR-FLIP at the package's viewing conditions (67 pixels per degree), mean over the frames.

    Args:
        candidate: (frames, 3, height, width), sRGB, uint8 or floating values in [0, 1].
        reference: The same shape and dtype.

    Returns:
        In [0, 1]; 0 for equal samples.

    Raises:
        TypeError: See `check_comparable`.
        ValueError: See `check_comparable`.
        MissingExtraError: `flip-evaluator` is not installed.

    Source: Andersson et al., "FLIP: A Difference Evaluator for Alternating Images", Proc. ACM
    Comput. Graph. Interact. Tech. 3(2), 2020, through NVIDIA's own `flip-evaluator`.
    """
    check_comparable(candidate, reference)
    try:
        import flip_evaluator
    except ImportError as error:
        raise MissingExtraError(
            "FLIP needs the package flip-evaluator: pip install 'tenuto[eval]'"
        ) from error

    def frame_flip(some: Tensor, same: Tensor) -> Tensor:
        pairs = zip(_images(same), _images(some), strict=True)
        errors = [flip_evaluator.evaluate(*pair, "LDR", applyMagma=False)[1] for pair in pairs]
        return torch.tensor(errors, dtype=torch.float64)

    return mean_over_frames(frame_flip, candidate, reference)


def _frame_psnr_db(candidate: Tensor, reference: Tensor) -> Tensor:
    return _psnr_db_from_errors(candidate - reference)


def _psnr_db_from_errors(errors: Tensor) -> Tensor:
    mean_square = errors.square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(mean_square.clamp_min(10 ** (-PSNR_CEILING_DB / 10)))


def _images(frames: Tensor) -> np.ndarray:
    """Frames as the FLIP package reads them: (frames, height, width, 3), float32, contiguous."""
    return np.ascontiguousarray(frames.permute(0, 2, 3, 1).numpy(), dtype=np.float32)
