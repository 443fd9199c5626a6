"""Two samples that may be compared, checked once and walked through a few frames at a time."""

from collections.abc import Callable

import torch
from torch import Tensor

# Bounds memory, not results: 16 frames of 480 x 832 in float64 are 153 MB per intermediate map.
_FRAMES_AT_ONCE = 16


def check_comparable(candidate: Tensor, reference: Tensor) -> None:
    """Refuse two samples whose difference would mean nothing.

    Args:
        candidate: (frames, 3, height, width), uint8 or floating values in [0, 1].
        reference: The same shape and dtype.

    Raises:
        TypeError: One of them is not a tensor, is neither uint8 nor floating, or the dtypes differ.
        ValueError: The shapes differ or are not (frames, 3, height, width), or a value is outside
            [0, 1] or not finite.
    """
    _check_sample("candidate", candidate)
    _check_sample("reference", reference)
    if candidate.shape != reference.shape:
        raise ValueError(
            "`candidate` must have the shape of `reference`, "
            f"got {tuple(candidate.shape)} and {tuple(reference.shape)}"
        )
    if candidate.dtype != reference.dtype:
        raise TypeError(
            "`candidate` must have the dtype of `reference`, "
            f"got {candidate.dtype} and {reference.dtype}"
        )


def unit_frames(sample: Tensor) -> Tensor:
    """Return the sample on the CPU in float64, uint8 scaled from 0..255 to 0..1.

    >>> unit_frames(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist()
    [0.0, 0.2, 1.0]
    """
    on_cpu = sample.detach().to("cpu", torch.float64)  # some devices have no float64
    return on_cpu / 255 if sample.dtype == torch.uint8 else on_cpu


def mean_over_frames(
    measure: Callable[[Tensor, Tensor], Tensor], candidate: Tensor, reference: Tensor
) -> float:
    """Average a per-frame measure over all frames.

    Args:
        measure: From two float64 tensors (some frames, 3, height, width) to one value per frame.
        candidate: Checked by `check_comparable`.
        reference: Likewise.

    Returns:
        The mean of the values of all frames, each frame counting once.
    """
    values = [
        measure(unit_frames(some), unit_frames(same))
        for some, same in zip(
            candidate.split(_FRAMES_AT_ONCE), reference.split(_FRAMES_AT_ONCE), strict=True
        )
    ]
    return torch.cat(values).mean().item()


def _check_sample(name: str, sample: Tensor) -> None:
    if not isinstance(sample, Tensor):
        raise TypeError(f"`{name}` must be a torch.Tensor, got {type(sample).__name__}")
    if sample.ndim != 4 or sample.shape[1] != 3 or 0 in sample.shape:
        raise ValueError(
            f"`{name}` must have shape (frames, 3, height, width), got {tuple(sample.shape)}"
        )
    if sample.dtype == torch.uint8:
        return
    if not sample.is_floating_point():
        raise TypeError(f"`{name}` must be uint8 or floating, got {sample.dtype}")
    low, high = (bound.item() for bound in torch.aminmax(sample.detach()))
    if not (low >= 0 and high <= 1):  # written so that NaN fails too
        raise ValueError(f"`{name}` must lie in [0, 1], got values from {low!r} to {high!r}")
