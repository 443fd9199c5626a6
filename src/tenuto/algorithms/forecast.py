"""Forecast a module's output from its own dense history, and keep that history small.

A forecast is a weighted sum of the last few outputs that were computed in full. Taylor weights
come from the step numbers alone; fitted weights, one per channel, from calibration runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tenuto.algorithms.shapes import Float, Int8

Predictor = Literal["none", "hold", "linear", "quadratic", "fitted"]
"""How the output of a token that is not computed is forecast; ``fitted`` needs a calibration."""

NUM_OUTPUTS: dict[str, int] = {"none": 0, "hold": 1, "linear": 2, "quadratic": 3, "fitted": 3}
"""Dense outputs that each predictor remembers."""


def taylor_weights(times: Sequence[float], time: float, order: int) -> tuple[float, ...]:
    """Return the weight of each remembered output in the forecast for `time`.

    ``f + f' s + f'' s^2 / 2`` with one-sided finite differences over the remembered times, which
    may be unevenly spaced; a history too short for `order` gives the highest order that it allows.

    Args:
        times: Step numbers of the remembered outputs, newest first, strictly falling.
        time: Step number to forecast.
        order: 0 holds, 1 is linear, 2 quadratic.

    Returns:
        One weight per output used, newest first; they sum to 1.

    Source: TaylorSeer (arXiv 2503.06923), eq. 4 to 7: equal to it on evenly spaced steps; its
    second difference ignores that steps may be uneven, ours does not.

    >>> taylor_weights([4.0, 2.0], 5.0, 1)
    (1.5, -0.5)
    >>> taylor_weights([4.0], 5.0, 2)
    (1.0,)
    """
    ahead = time - times[0]
    order = min(order, len(times) - 1)
    if order == 0:
        return (1.0,)
    gap = times[0] - times[1]
    slope = ahead / gap
    if order == 1:
        return (1.0 + slope, -slope)
    older_gap = times[1] - times[2]
    # s^2 / 2 times the second difference 2 (d_new - d_old) / (t0 - t2)
    bend = ahead * ahead / (times[0] - times[2])
    return (
        1.0 + slope + bend / gap,
        -slope - bend / gap - bend / older_gap,
        bend / older_gap,
    )


def weighted_sum(
    outputs: Sequence[Float[Tensor, "*shape"]], weights: Sequence[float] | Float[Tensor, "taps c"]
) -> Float[Tensor, "*shape"]:
    """Return ``sum(w * output)``; weights are numbers, or one row of per-channel weights each.

    One weight of exactly 1 returns the output itself, not a copy: do not write to the result.
    """
    if len(weights) == 1 and not isinstance(weights, Tensor) and weights[0] == 1.0:
        return outputs[0]
    total = outputs[0] * weights[0]
    for output, weight in zip(outputs[1 : len(weights)], weights[1:], strict=True):
        if isinstance(weight, Tensor):
            total.addcmul_(output, weight)
        else:
            total.add_(output, alpha=weight)
    return total


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedRows:
    """A tensor as int8 with one scale per row of its last axis: about half of bfloat16's bytes.

    Source: ours; symmetric round-to-nearest, so the error of an entry is at most half a scale.
    """

    values: Int8[Tensor, "*shape"]
    scales: Float[Tensor, "*rows 1"]
    dtype: torch.dtype

    @classmethod
    def quantize(cls, tensor: Float[Tensor, "*shape"]) -> "QuantizedRows":
        """Quantize; rows of zeros stay zero."""
        scales = tensor.detach().abs().amax(-1, keepdim=True).float() / 127
        safe = torch.where(scales > 0, scales, torch.ones_like(scales))
        return cls((tensor / safe).round().to(torch.int8), scales, tensor.dtype)

    def dequantize(self) -> Float[Tensor, "*shape"]:
        """Return the tensor in its first dtype."""
        return (self.values * self.scales).to(self.dtype)
