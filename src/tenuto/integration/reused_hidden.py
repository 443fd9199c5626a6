"""What a dense iteration of FFN-Reuse leaves, and which rows later iterations see."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class ReusedHidden:
    """One feed-forward after a dense iteration.

    Attributes:
        step_index: Of the dense iteration.
        marks: What sparse iterations recompute: bits (batch, rows, bytes) uint8, or columns
            (batch, tiles, columns) int64.
        partial: What the unmarked part gives, output bias included, (batch, rows, channels).
    """

    step_index: int
    marks: Tensor
    partial: Tensor


@dataclass(frozen=True, slots=True)
class GatheredRows:
    """Rows that token reduction left to a feed-forward.

    Attributes:
        flat: Their indices in the flattened (batch * rows) axis, the same count a sample.
        num_rows: Rows of a sample before.
    """

    flat: Tensor
    num_rows: int
