"""Eager prediction: guess attention scores in log-domain integers, then compute only what matters.

The torch side of `tenuto.golden.eager_prediction`: the same integers, the same masks. Whole numbers
are held in float64, whose products and sums are exact below 2^53; float32 would not do (two 12-bit
operands and 64 channels reach 2^27).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tenuto.algorithms.settings import check_settings
from tenuto.algorithms.shapes import Bool, Float

Predictor = Literal["two_step", "one_step", "exact", "random"]
"""What scores are predicted with: two leading ones of each operand, one, the exact scores (an
oracle), or noise (the control that knows nothing)."""

_PARTS = ("self", "cross")


@dataclass(frozen=True, slots=True, kw_only=True)
class EagerPrediction:
    """EXION's eager prediction on attentions.

    Before an attention projects anything, its scores are predicted from quantized inputs and
    weights by shifts and adds. Each query keeps its highest scores; keys and values that no query
    keeps are not projected; a query whose highest score stands out takes that key's value.

    Attributes:
        keep_ratio: Share of the scores of each query and head that is computed, in (0, 1]; rounded
            up to whole keys. 1 is off, whatever the rest says.
        one_hot_threshold: How far the highest predicted score must exceed the second highest, in
            units of the exponent of the softmax, for the softmax to be taken for one-hot; at least
            0. None takes none for one-hot.
        bits: Width of quantized operands, sign included, in [2, 12].
        predictor: What scores are predicted with.
        scope: Which attentions: ``self`` (joint attentions too), ``cross``.
        blocks: Block numbers, in the order in which blocks run; None is all of them.

    Raises:
        ValueError: A value is out of its range.

    Source: EXION (arXiv 2501.05680), eager prediction with two-step leading-one detection. The
    reading of "two-step", the quantization and the units of the threshold are reconstructed.
    """

    keep_ratio: float = 0.5
    one_hot_threshold: float | None = None
    bits: int = 12
    predictor: Predictor = "two_step"
    scope: tuple[str, ...] = ("self",)
    blocks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        threshold = self.one_hot_threshold
        check_settings(self, (
            ("keep_ratio", "in (0, 1]", 0 < self.keep_ratio <= 1),
            ("one_hot_threshold", "None or at least 0", threshold is None or threshold >= 0),
            ("bits", "in [2, 12]", 2 <= self.bits <= 12),
            ("scope", f"some of {list(_PARTS)}",
             bool(self.scope) and set(self.scope) <= set(_PARTS)),
            ("blocks", "None or numbers from 0",
             self.blocks is None or min(self.blocks, default=-1) >= 0),
        ))  # fmt: skip

    @classmethod
    def paper(cls) -> "EagerPrediction":
        """Return a reconstructed setting: the paper's ratio and threshold could not be read."""
        return cls(keep_ratio=0.5, one_hot_threshold=8.0)

    @classmethod
    def neutral(cls) -> "EagerPrediction":
        """Return the setting that is bit-identical to the untouched pipeline."""
        return cls(keep_ratio=1.0)

    @property
    def is_off(self) -> bool:
        """Whether the original code runs."""
        return self.keep_ratio == 1

    def keep_count(self, num_keys: int) -> int:
        """Return how many scores each query keeps.

        >>> EagerPrediction(keep_ratio=0.1).keep_count(30), EagerPrediction().keep_count(5)
        (3, 3)
        """
        return max(1, math.ceil(round(self.keep_ratio * num_keys, 9)))


@dataclass(frozen=True, slots=True, eq=False)
class AttentionPlan:
    """What an attention computes.

    Attributes:
        keep: Scores that are computed. A one-hot row keeps its target alone.
        one_hot: Rows whose output is the value of their target.
        needed_queries: Query rows to project.
        needed_keys: Key rows to project.
        needed_values: Value rows to project.
    """

    keep: Bool[Tensor, "batch heads queries keys"]
    one_hot: Bool[Tensor, "batch heads queries"]
    needed_queries: Bool[Tensor, "batch heads queries"]
    needed_keys: Bool[Tensor, "batch heads keys"]
    needed_values: Bool[Tensor, "batch heads keys"]


def leading_ones(values: Float[Tensor, "..."], predictor: Predictor) -> Float[Tensor, "..."]:
    """Keep one or two leading ones of whole numbers.

    Args:
        values: Whole numbers in float32 or float64, exactly represented.
        predictor: ``one_step`` keeps one, ``two_step`` two.

    Returns:
        As `tenuto.golden.leading_one.lod` and `two_step_lod`; the dtype stays.

    >>> leading_ones(torch.tensor([0.0, 1.0, -5.0, 7.0]), "two_step").tolist()
    [0.0, 1.0, -5.0, 6.0]
    """
    first = _power_of_two(values)
    return first if predictor == "one_step" else first + _power_of_two(values - first)


def quantize(
    values: Float[Tensor, "..."], bits: int, axes: tuple[int, ...]
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """Round to signed integers with one scale for everything along some axes.

    Args:
        values: Any real values.
        bits: Width of the integers, sign included.
        axes: Share a scale: their largest magnitude becomes 2^(bits-1) - 1.

    Returns:
        Whole numbers as float32 (halves rounded to even), and their float32 unit; 1 where all are
        0. The unit keeps the axes with length 1.
    """
    values = values.float()
    limit = 2 ** (bits - 1) - 1
    unit = values.abs().amax(axes, keepdim=True) / limit
    unit = torch.where(unit > 0, unit, torch.ones_like(unit))
    return (values / unit).round().clamp(-limit, limit), unit


def multiply(
    left: Float[Tensor, "... rows inner"],
    right: Float[Tensor, "... inner columns"],
    predictor: Predictor,
) -> Float[Tensor, "... rows columns"]:
    """Matrix product of operands reduced to their leading ones, without rounding.

    Args:
        left: Whole numbers.
        right: Whole numbers.
        predictor: How many leading ones are kept.

    Returns:
        float64 whole numbers, exact while they stay below 2^53.
    """
    return leading_ones(left, predictor).double() @ leading_ones(right, predictor).double()


def plan_from_scores(
    scores: Float[Tensor, "batch heads queries keys"],
    keep_count: int,
    one_hot_threshold: Float[Tensor, "..."] | None,
) -> AttentionPlan:
    """Decide what an attention computes, as `tenuto.golden.eager_prediction.plan_from_scores`.

    Args:
        scores: Predicted; minus infinity where a mask forbids the key, which is then never kept.
        keep_count: Scores kept in each row, in [1, keys]; ties keep the lower key.
        one_hot_threshold: In units of the scores, broadcasts against (batch, heads, queries); None
            takes no row for one-hot.
    """
    one_hot = torch.zeros(scores.shape[:-1], dtype=torch.bool, device=scores.device)
    lowest = scores.topk(keep_count, dim=-1, sorted=False).values.amin(-1, keepdim=True)
    if one_hot_threshold is not None and scores.shape[-1] > 1:
        highest = scores.topk(2, dim=-1).values
        one_hot = highest[..., 0] - highest[..., 1] > one_hot_threshold
        lowest = torch.where(one_hot[..., None], highest[..., :1], lowest)
    counts = torch.where(one_hot, 1, keep_count)
    keep = _at_least(scores, lowest, counts) & (scores > -torch.inf)
    return AttentionPlan(
        keep, one_hot, ~one_hot, (keep & ~one_hot[..., None]).any(-2), keep.any(-2)
    )


def _at_least(scores: Tensor, lowest: Tensor, counts: Tensor) -> Tensor:
    """Mark `counts` scores of each row that reach its `lowest`: of those at it, the first."""
    keep = scores >= lowest
    num_too_many = keep.sum(-1) - counts
    tied = num_too_many > 0
    if bool(tied.any()):  # rare among 12-bit operands, and then in few rows
        ties = scores[tied] == lowest[tied]
        num_kept_ties = ties.sum(-1, keepdim=True) - num_too_many[tied][:, None]
        keep[tied] &= ~ties | (ties.cumsum(-1) <= num_kept_ties)
    return keep


def _power_of_two(values: Tensor) -> Tensor:
    """The sign and exponent fields of a float alone: sign(x) * 2^floor(log2 |x|), and 0 for 0."""
    is_single = values.dtype == torch.float32
    integers, fraction_bits = (torch.int32, 23) if is_single else (torch.int64, 52)
    return ((values.view(integers) >> fraction_bits) << fraction_bits).view(values.dtype)
