"""Which share of the tokens is *not* computed, for each step and block.

0 is dense, 1 computes nothing (the whole output is forecast), anything between computes the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryNth:
    """Dense at the first `warmup` steps and at every `interval`-th from then on, else `ratio`.

    Source: DiTo (arXiv 2605.22011): Matching and Reduction timesteps, a uniform interval.

    >>> EveryNth(ratio=0.5, interval=3, warmup=1).row(4, 2), EveryNth(
    ...     ratio=0.5, interval=3, warmup=1).row(3, 2)
    ((0.5, 0.5), (0.0, 0.0))
    """

    ratio: float
    interval: int
    warmup: int

    def row(self, step_index: int, num_blocks: int) -> tuple[float, ...]:
        """Return each block's ratio at a step."""
        since = step_index - (self.warmup - 1)
        is_dense = since <= 0 or since % self.interval == 0
        return (0.0 if is_dense else self.ratio,) * num_blocks

    def ratios(self) -> tuple[float, ...]:
        """Return every ratio that can occur."""
        return (self.ratio,) if self.interval > 1 else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The same ratio at every step, the first one included (for matching on a step's own input)."""

    ratio: float

    def row(self, step_index: int, num_blocks: int) -> tuple[float, ...]:
        """Return each block's ratio at a step."""
        del step_index
        return (self.ratio,) * num_blocks

    def ratios(self) -> tuple[float, ...]:
        """Return every ratio that can occur."""
        return (self.ratio,)


@dataclass(frozen=True, slots=True)
class Table:
    """A ratio for each step, or for each step and block; steps past the end are dense.

    Attributes:
        steps: One entry a step: a number for all blocks, or a tuple with one number a block.
        needs_dense_start: The first step must be dense, because nothing is known before it.
    """

    steps: tuple[float | tuple[float, ...], ...]
    needs_dense_start: bool = True

    def __post_init__(self) -> None:
        for index, entry in enumerate(self.steps):
            for ratio in entry if isinstance(entry, tuple) else (entry,):
                if not 0 <= ratio <= 1:
                    raise ValueError(f"`schedule[{index}]` must be in [0, 1], got {ratio!r}")
        if self.needs_dense_start and self.steps and any(self.ratios_of(0)):
            raise ValueError(
                "`schedule[0]` must be 0, as nothing is known before the first step, got "
                f"{self.steps[0]!r}"
            )

    def ratios_of(self, step_index: int) -> tuple[float, ...]:
        """Return the entry of a step as a tuple."""
        entry = self.steps[step_index]
        return entry if isinstance(entry, tuple) else (entry,)

    def row(self, step_index: int, num_blocks: int) -> tuple[float, ...]:
        """Return each block's ratio at a step.

        Raises:
            ValueError: The entry of the step is for another number of blocks.
        """
        if step_index >= len(self.steps):
            return (0.0,) * num_blocks
        entry = self.steps[step_index]
        if not isinstance(entry, tuple):
            return (entry,) * num_blocks
        if len(entry) != num_blocks:
            raise ValueError(
                f"`schedule[{step_index}]` must have one ratio for each of the model's "
                f"{num_blocks} blocks, got {len(entry)}"
            )
        return entry

    def ratios(self) -> tuple[float, ...]:
        """Return every ratio that can occur."""
        return tuple({ratio for step in range(len(self.steps)) for ratio in self.ratios_of(step)})


@dataclass(frozen=True, slots=True, kw_only=True)
class FromDepth:
    """`ratio` at steps 0, n, 2n, ... in all blocks from a depth on; dense at the steps between.

    Attributes:
        ratio: Share of the tokens not computed.
        interval: n, >= 1; 1 is every step.
        depth: Share of the blocks, counted from the first, that stay dense, [0, 1].

    Source: the schedule of ToMA's released code for Flux (arXiv 2509.10918).

    >>> FromDepth(ratio=0.5, interval=3, depth=0.5).row(3, 4)
    (0.0, 0.0, 0.5, 0.5)
    """

    ratio: float
    interval: int
    depth: float

    def row(self, step_index: int, num_blocks: int) -> tuple[float, ...]:
        """Return each block's ratio at a step."""
        num_dense = num_blocks if step_index % self.interval else round(self.depth * num_blocks)
        return (0.0,) * num_dense + (self.ratio,) * (num_blocks - num_dense)

    def ratios(self) -> tuple[float, ...]:
        """Return every ratio that can occur."""
        return (self.ratio,)


@dataclass(frozen=True, slots=True)
class Larger:
    """The larger ratio of two schedules, step by step and block by block."""

    first: "Constant | Table"
    second: "Constant | Table"

    def row(self, step_index: int, num_blocks: int) -> tuple[float, ...]:
        """Return each block's ratio at a step.

        Raises:
            ValueError: As `Table.row`.
        """
        rows = (s.row(step_index, num_blocks) for s in (self.first, self.second))
        return tuple(max(pair) for pair in zip(*rows, strict=True))

    def ratios(self) -> tuple[float, ...]:
        """Return every ratio that can occur in either."""
        return tuple({*self.first.ratios(), *self.second.ratios()})


Schedule = EveryNth | Constant | Table | FromDepth | Larger


def predicted_spans(row: Sequence[float]) -> tuple[tuple[int, int], ...]:
    """Return the runs of consecutive blocks that compute nothing, as (first, last) indices.

    >>> predicted_spans((0.0, 1.0, 1.0, 0.5, 1.0))
    ((1, 2), (4, 4))
    """
    spans = []
    for is_predicted, run in groupby(range(len(row)), key=lambda block: row[block] == 1):
        blocks = list(run)
        if is_predicted:
            spans.append((blocks[0], blocks[-1]))
    return tuple(spans)


def pmr_schedule(
    table: Sequence[Sequence[float]], *, ratio: float, threshold: float, max_gap: int, warmup: int
) -> Table:
    """Match again when the pairs of the last Matching step agree too little with this step's.

    Args:
        table: Pair Match Ratio between each two steps, 0..1, (steps, steps), symmetric.
        ratio: Share of the tokens reduced at Reduction steps, [0, 1].
        threshold: Match again at a step whose PMR with the last Matching step is below, [0, 1].
        max_gap: Most steps from one Matching step to the next, >= 1.
        warmup: First steps that are dense, >= 1.

    Raises:
        ValueError: A value is out of its range.

    Source: PMR-guided interval scheduling of DiTo (arXiv 2605.22011, abstract); the rule is our
    reconstruction.

    >>> pmr_schedule([[1.0, 0.9, 0.5], [0.9, 1.0, 0.8], [0.5, 0.8, 1.0]], ratio=0.5, threshold=0.6,
    ...              max_gap=8, warmup=1).steps
    (0.0, 0.5, 0.0)
    """
    for name, value, rule, is_valid in (
        ("threshold", threshold, "in [0, 1]", 0 <= threshold <= 1),
        ("max_gap", max_gap, "at least 1", max_gap >= 1),
        ("warmup", warmup, "at least 1", warmup >= 1),
    ):
        if not is_valid:
            raise ValueError(f"`{name}` must be {rule}, got {value!r}")
    steps, last = [], 0
    for step in range(len(table)):
        is_matching = step < warmup or table[last][step] < threshold or step - last >= max_gap
        last = step if is_matching else last
        steps.append(0.0 if is_matching else ratio)
    return Table(tuple(steps))


def with_zeros(row: tuple[float, ...], span: tuple[int, int]) -> tuple[float, ...]:
    """Return the ratios of a step with a run of blocks made dense.

    >>> with_zeros((1.0, 1.0, 0.5), (0, 1))
    (0.0, 0.0, 0.5)
    """
    return tuple(0.0 if span[0] <= b <= span[1] else ratio for b, ratio in enumerate(row))
