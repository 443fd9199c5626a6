"""SSIM and MS-SSIM of frames, computed in float64 on the CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tenuto.evaluation.frames import check_comparable, mean_over_frames

_WINDOW = 11  # pixels
_SIGMA = 1.5  # pixels
_LUMINANCE_CONSTANT = 0.01**2  # (K1 L)^2 with the data range L = 1
_CONTRAST_CONSTANT = 0.03**2  # (K2 L)^2
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(candidate: Tensor, reference: Tensor) -> float:
    """Structural similarity, mean over window positions, channels and frames.

    Gaussian window of 11 x 11 pixels, sigma 1.5, population covariance; windows that leave the
    frame are not counted.

    Args:
        candidate: (frames, 3, height, width), uint8 or floating values in [0, 1].
        reference: The same shape and dtype.

    Returns:
        In [-1, 1]; exactly 1 for equal samples.

    Raises:
        TypeError: See `check_comparable`.
        ValueError: See `check_comparable`; or a side is shorter than 11 pixels.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13(4), 2004; differs in: three colour channels averaged
    instead of luma, as scikit-image does with `channel_axis`.

    >>> frames = torch.rand(2, 3, 16, 16)
    >>> ssim(frames, frames)
    1.0
    """
    _check_window_fits(candidate, reference)
    return mean_over_frames(
        lambda some, same: _similarity(some, same)[0].mean(dim=1), candidate, reference
    )


def ms_ssim(candidate: Tensor, reference: Tensor) -> float:
    """Multi-scale structural similarity, mean over channels and frames.

    Contrast and structure count at every scale, luminance at the coarsest. Scales halve the frame
    by 2 x 2 means (an odd last row or column is dropped). Five scales need sides of 176 pixels;
    a smaller frame has as many as keep its shorter side at 11 pixels or more, with the first
    weights of the paper divided by their sum: 64 x 64 has three. A negative factor counts as 0,
    for it has no fractional power.

    Args:
        candidate: (frames, 3, height, width), uint8 or floating values in [0, 1].
        reference: The same shape and dtype.

    Returns:
        In [0, 1]; 1 for equal samples. Comparable only between samples of one size.

    Raises:
        TypeError: See `check_comparable`.
        ValueError: See `check_comparable`; or a side is shorter than 11 pixels.

    Source: Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality
    assessment", Asilomar 2003; differs in: colour channels averaged, fewer scales on small frames.
    """
    _check_window_fits(candidate, reference)
    return mean_over_frames(_multi_scale_similarity, candidate, reference)


def scale_weights(height: int, width: int) -> tuple[float, ...]:
    """Weights of the MS-SSIM scales that a frame of this size has; they sum to 1.

    >>> len(scale_weights(64, 64)), len(scale_weights(176, 300))
    (3, 5)
    """
    num_scales = sum(min(height, width) >> scale >= _WINDOW for scale in range(len(_SCALE_WEIGHTS)))
    used = _SCALE_WEIGHTS[:num_scales]
    return tuple(weight / sum(used) for weight in used)


def _multi_scale_similarity(candidate: Tensor, reference: Tensor) -> Tensor:
    weights = scale_weights(*candidate.shape[-2:])
    product = torch.ones(candidate.shape[:2], dtype=candidate.dtype)  # (frames, channels)
    for scale, weight in enumerate(weights):
        whole, contrast = _similarity(candidate, reference)
        factor = whole if scale == len(weights) - 1 else contrast
        product = product * factor.clamp_min(0) ** weight
        candidate, reference = F.avg_pool2d(candidate, 2), F.avg_pool2d(reference, 2)
    return product.mean(dim=1)


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean similarity, and its contrast-structure part alone, each (frames, channels)."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    # Bracketed so that equal frames give twice one variance and a similarity of exactly 1.
    variances = (_windowed(x * x) - mean_x**2) + (_windowed(y * y) - mean_y**2)
    covariance = _windowed(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _LUMINANCE_CONSTANT) / (
        mean_x**2 + mean_y**2 + _LUMINANCE_CONSTANT
    )
    contrast = (2 * covariance + _CONTRAST_CONSTANT) / (variances + _CONTRAST_CONSTANT)
    return (luminance * contrast).mean(dim=(2, 3)), contrast.mean(dim=(2, 3))


def _windowed(frames: Tensor) -> Tensor:
    """Gaussian-weighted mean around every pixel whose window lies inside the frame."""
    offsets = torch.arange(_WINDOW, dtype=frames.dtype) - _WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    weights = (weights / weights.sum()).expand(frames.shape[1], 1, 1, _WINDOW)
    rows = F.conv2d(frames, weights, groups=frames.shape[1])
    return F.conv2d(rows, weights.transpose(2, 3), groups=frames.shape[1])


def _check_window_fits(candidate: Tensor, reference: Tensor) -> None:
    check_comparable(candidate, reference)
    height, width = candidate.shape[-2:]
    if min(height, width) < _WINDOW:
        raise ValueError(
            f"`candidate` must be at least {_WINDOW} pixels high and wide for structural "
            f"similarity, got {height} x {width}"
        )
