"""FFN-Reuse: between dense iterations, recompute only marked hidden values of a feed-forward.

With input ``X`` (tokens x channels), hidden layer ``H = act(X W1 + b1)`` (tokens x hidden), marks
``B`` on it (True: recompute) and output ``Y = H W2 + b2``::

    dense iteration     Y  computed by the model;  P = Y - (H * B) W2,  what the unmarked part gives
    sparse iteration    Y' = (H' * B) W2 + P,      H' computed where B is True only

``P`` is called the partial sum; the output bias is in it. This file holds the setting and when
iterations are dense; `tenuto.algorithms.hidden_marks` chooses ``B`` and
`tenuto.algorithms.condensed` multiplies by part of a weight.
"""

from dataclasses import dataclass
from typing import Literal

from tenuto.algorithms.settings import check_settings

Granularity = Literal["element", "column", "tile"]
Select = Literal["magnitude", "change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FFNReuse:
    """Reuse of hidden values of every feed-forward across steps.

    Attributes:
        sparsity: Share of the hidden layer that is not recomputed, in [0, 1); 0 is off.
        interval: Steps from one dense iteration to the next, >= 1; 1 is off. The paper's N sparse
            iterations are ``interval - 1``.
        granularity: What is marked. "element": single values, as the paper's hardware skips them;
            counted as such a machine would, while here dense kernels do the work, so *no time is
            saved*. "column": the same hidden columns for all tokens of a sample. "tile": hidden
            columns chosen for each run of `tile_rows` tokens. The last two save time.
        select: What marks a value. "magnitude": its absolute value. "change": its change between
            the last two dense iterations, times the norm of its output weights.
        warmup: First steps that are dense, >= 1; "change" knows a change from 2 on.
        tile_rows: Tokens of a tile, >= 1; other granularities ignore it.
        blocks: Block numbers, in the order in which blocks run; None is all of them.

    Raises:
        ValueError: A value is out of its range.

    Source: FFN-Reuse of EXION (arXiv 2501.05680): dense and sparse iterations, a bitmask of large
    hidden values, element granularity. Threshold by quantile and partial sum are our
    reconstruction; "column", "tile" and "change" are ours.
    """

    sparsity: float = 0.5
    interval: int = 3
    granularity: Granularity = "column"
    select: Select = "magnitude"
    warmup: int = 3
    tile_rows: int = 64
    blocks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_settings(self, (
            ("sparsity", "in [0, 1)", 0 <= self.sparsity < 1),
            ("interval", "an integer of at least 1", _is_count(self.interval)),
            ("granularity", "'element', 'column' or 'tile'",
             self.granularity in ("element", "column", "tile")),
            ("select", "'magnitude' or 'change'", self.select in ("magnitude", "change")),
            ("warmup", "an integer of at least 1", _is_count(self.warmup)),
            ("tile_rows", "an integer of at least 1", _is_count(self.tile_rows)),
            ("blocks", "None or numbers from 0",
             self.blocks is None or min(self.blocks, default=-1) >= 0),
        ))  # fmt: skip

    @classmethod
    def paper(cls) -> "FFNReuse":
        """Return the reconstruction of the paper at the lower end of what it skips.

        Source: EXION (arXiv 2501.05680); 52.47 to 85.41 % of the feed-forward operations are
        skipped. Sparsity and N of single models are not public: 0.70 with N = 3 skips 52.5 %.
        """
        return cls(sparsity=0.7, interval=4, granularity="element", select="magnitude", warmup=1)

    @classmethod
    def neutral(cls) -> "FFNReuse":
        """Return the setting that is bit-identical to the untouched pipeline."""
        return cls(sparsity=0.0)

    @property
    def is_off(self) -> bool:
        """Every iteration is dense and nothing is remembered."""
        return self.sparsity == 0 or self.interval == 1

    def is_sparse(self, step_index: int, marked_at: int | None) -> bool:
        """Return whether a step reuses what a dense iteration left.

        Args:
            step_index: Of this step.
            marked_at: Step of the dense iteration, None where there was none.

        Examples:
            >>> setting = FFNReuse(interval=3, warmup=2)
            >>> [setting.is_sparse(step, marked_at=1) for step in (1, 2, 3, 4)]
            [False, True, True, False]
        """
        if marked_at is None or step_index < self.warmup:
            return False
        return 0 < step_index - marked_at < self.interval

    def marks_at(self, step_index: int, num_steps: int | None) -> bool:
        """Return whether a dense iteration at this step is followed by a step that can reuse it.

        Examples:
            >>> setting = FFNReuse(warmup=3)
            >>> [setting.marks_at(step, num_steps=5) for step in range(5)]
            [False, False, True, True, False]
        """
        return self.warmup <= step_index + 1 and (num_steps is None or step_index + 1 < num_steps)


def _is_count(number: object) -> bool:
    return isinstance(number, int) and number >= 1
