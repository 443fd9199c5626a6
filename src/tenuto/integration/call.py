"""What one call of the transformer is about, and what its places do in it."""

from dataclasses import dataclass, field
from math import prod

from torch import Tensor

from tenuto.integration.families import Grid
from tenuto.integration.memory import BranchMemory, Key
from tenuto.integration.reused_hidden import GatheredRows
from tenuto.integration.rows import PlanRows
from tenuto.integration.shards import WHOLE, Shards
from tenuto.integration.steps import Moment

SPAN = "blocks to "
"""How keys of runs of blocks begin."""
TOO_SMALL = "token grid too small for the ratio"
"""Why a block runs dense that has too few tokens."""


@dataclass(frozen=True, slots=True)
class Dense:
    """Run the original code."""

    reason: str


@dataclass(frozen=True, slots=True)
class Partial:
    """Compute the kept rows and restore the rest."""

    rows: PlanRows


@dataclass(frozen=True, slots=True)
class Predicted:
    """Compute nothing: forecast."""


Decision = Dense | Partial | Predicted


@dataclass(slots=True)
class Call:
    """One call of the transformer.

    Attributes:
        moment: Its place in the denoising loop.
        memory: What its guidance branch remembers.
        row: Ratio of each block at this step.
        next_ratios: Of each block, the largest partial ratio up to its next dense step, 0 if none.
        dense_reason: Why blocks with ratio 0 run dense.
        grid: Token grid; empty where blocks have grids of their own.
        num_tokens: Tokens of it.
        grids: Token grids of blocks that have their own.
        unfit: Blocks whose grid is too small for the ratio.
        barred: Blocks that must run dense at any ratio, and why.
        skip: For blocks inside a predicted span, its (first, last) block.
        decisions: Made so far, by place.
        inputs: Image stream into each block, where tokens are matched on it.
        starts: Streams into each span that is forecast as one.
        gathered: Rows that token reduction left to a module, by place.
        reused: Feed-forwards that FFN-Reuse has seen in this call.
        shards: Ranks that share the tokens; grids are those of one shard.
    """

    moment: Moment
    memory: BranchMemory
    row: tuple[float, ...]
    next_ratios: tuple[float, ...]
    dense_reason: str
    grid: Grid
    num_tokens: int
    skip: dict[int, tuple[int, int]]
    decisions: dict[Key, Decision] = field(default_factory=dict)
    inputs: dict[int, Tensor] = field(default_factory=dict)
    starts: dict[tuple[int, int], tuple[Tensor, ...]] = field(default_factory=dict)
    grids: dict[int, Grid] = field(default_factory=dict)
    unfit: set[int] = field(default_factory=set)
    barred: dict[int, str] = field(default_factory=dict)
    gathered: dict[Key, GatheredRows] = field(default_factory=dict)
    reused: set[Key] = field(default_factory=set)
    shards: Shards = WHOLE

    def why_dense(self, block_index: int) -> str | None:
        """Return why a block runs dense whatever is remembered, None where it does not."""
        ratio = self.row[block_index]
        if ratio == 0:
            return self.dense_reason
        if ratio < 1 and block_index in self.unfit:
            return TOO_SMALL
        return self.barred.get(block_index)

    def why_none(self, num_possible: int) -> str:
        """Return why no token of a block is reduced, where the ratio allows so many."""
        return "no pair is similar enough" if num_possible else TOO_SMALL

    def grid_of(self, block_index: int) -> Grid:
        """Return the token grid of a block."""
        return self.grids.get(block_index, self.grid)

    def tokens_of(self, block_index: int) -> int:
        """Return the image tokens of a block."""
        return prod(self.grid_of(block_index))


def span_key(first: int, last: int) -> Key:
    """Return the key under which a span of blocks keeps its history."""
    return (first, f"{SPAN}{last}")
