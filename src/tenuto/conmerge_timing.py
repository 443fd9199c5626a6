"""Sizes and cycles of the ConMerge unit; the work that its cycles depend on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSort:
    """Condensing and sorting of columns.

    Attributes:
        rows: Of a block.
        max_columns: Of a block.
    """

    rows: int = 16
    max_columns: int = 1024

    def __post_init__(self) -> None:
        for name, value in (("rows", self.rows), ("max_columns", self.max_columns)):
            if value < 2:
                raise ValueError(f"`{name}` must be at least 2, got {value!r}")

    def first_output_cycle(self, num_columns: int, num_needed: int) -> int:
        """Return the cycles from a block's first column to its first sorted column.

        Loading, one cycle a population, one a needed column, and a turn.
        """
        return num_columns + self.rows + num_needed + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockWork:
    """What ConMerge does with one block.

    Attributes:
        num_columns: Columns of the block.
        num_needed: Columns with a needed output.
        num_merged: Merged tiles.
        tries: Cycles of each try to lay a tile over a host, up to its last lane or to the output
            that found no unit.
        num_exhausted: Merged tiles that ended for want of another tile to try.
    """

    num_columns: int
    num_needed: int
    num_merged: int
    tries: tuple[int, ...]
    num_exhausted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConMerge:
    """The ConMerge unit.

    Attributes:
        rows: Row lines of the array.
        lanes: Lanes of the array.
        merge_limit: Most tiles laid over each other.
        max_columns: Of a block; a multiple of the lanes.
    """

    rows: int = 16
    lanes: int = 16
    merge_limit: int = 3
    max_columns: int = 1024

    def __post_init__(self) -> None:
        if self.lanes < 2 or self.max_columns % self.lanes:
            raise ValueError(
                f"`max_columns` must be a multiple of `lanes`, 2 or more, got {self.max_columns} "
                f"columns and {self.lanes} lanes"
            )
        if self.merge_limit < 2:
            raise ValueError(f"`merge_limit` must be at least 2, got {self.merge_limit!r}")

    @property
    def sort(self) -> ColumnSort:
        """Return the size of the first half of the unit."""
        return ColumnSort(rows=self.rows, max_columns=self.max_columns)

    @property
    def max_tiles(self) -> int:
        """Return the most tiles of a block before merging."""
        return self.max_columns // self.lanes

    def merge_cycles(self, work: BlockWork) -> int:
        """Return the cycles from a block's last sorted column to its last output."""
        if not work.num_merged:
            return 2
        hosts = work.num_merged * (1 + self.lanes + 1 + self.lanes)
        return hosts + sum(1 + cycles for cycles in work.tries) + work.num_exhausted

    def cycles(self, blocks: Sequence[BlockWork]) -> int:
        """Return the cycles of blocks that follow each other without a gap."""
        load, merge_free = 0, 0
        for work in blocks:
            ready = load + self.sort.first_output_cycle(work.num_columns, work.num_needed)
            load = max(ready, merge_free) + max(work.num_needed, 1)
            merge_free = load + self.merge_cycles(work)
        return merge_free


def work_of(block: NDArray[np.bool_], lanes: int, merge_limit: int) -> BlockWork:
    """Return the work of one block, by doing it as the unit does.

    Args:
        block: (rows, columns), True where an output is needed.
        lanes: Of the array.
        merge_limit: Most tiles laid over each other.
    """
    population = block.sum(0)
    needed = np.flatnonzero(population)
    needed = needed[np.argsort(-population[needed], kind="stable")]
    columns = [sum(1 << row for row in np.flatnonzero(block[:, n]).tolist()) for n in needed]
    columns += [0] * (-len(columns) % lanes)
    tiles = [columns[t : t + lanes] for t in range(0, len(columns), lanes)]
    left = list(range(len(tiles)))
    tries: list[int] = []
    num_merged = num_exhausted = 0
    while left:
        host = _Host(tiles[left.pop(0)], len(block))
        members = 1
        for other in reversed(left.copy()):
            if members == merge_limit:
                break
            cycles, fits = host.lay_over(tiles[other])
            tries.append(cycles)
            if fits:
                left.remove(other)
                members += 1
        num_exhausted += members < merge_limit
        num_merged += 1
    return BlockWork(
        num_columns=block.shape[1],
        num_needed=len(needed),
        num_merged=num_merged,
        tries=tuple(tries),
        num_exhausted=num_exhausted,
    )


class _Host:
    """Busy units and alternative rows of a merged tile; bit r of an integer is row or line r."""

    def __init__(self, tile: Sequence[int], rows: int) -> None:
        self.all_lines = (1 << rows) - 1
        self.busy = list(tile)
        self.carriers: dict[int, int] = {}
        self.unset = self.all_lines

    def lay_over(self, tile: Sequence[int]) -> tuple[int, bool]:
        """Lay a tile over the host; return the cycles, and whether it fits (else no change)."""
        busy, carriers, unset = self.busy.copy(), self.carriers.copy(), self.unset
        cycles = 0
        for lane, column in enumerate(tile):
            moving = column & busy[lane]
            busy[lane] |= column
            cycles += not moving
            while moving:
                cycles += 1
                row = moving & -moving
                free = self.all_lines & ~busy[lane]
                fitting = free & carriers.get(row, 0) or free & unset
                if not fitting:
                    return cycles, False
                line = fitting & -fitting
                busy[lane] |= line
                carriers[row] = carriers.get(row, 0) | line
                unset &= ~line
                moving ^= row
        self.busy, self.carriers, self.unset = busy, carriers, unset
        return cycles, True


@dataclass(frozen=True, slots=True, kw_only=True)
class DotArray:
    """The array that executes merged tiles.

    Attributes:
        rows: Row lines.
        lanes: Lanes of units.
        merge_limit: Weight columns that a lane holds.
        dot_length: Operands of a unit a cycle.
        bits: Of one signed operand.
        max_depth: Longest dot product; fixes the accumulators' width.
    """

    rows: int = 16
    lanes: int = 16
    merge_limit: int = 3
    dot_length: int = 24
    bits: int = 12
    max_depth: int = 4608

    @property
    def result_bits(self) -> int:
        """Return the width of a signed sum that cannot overflow."""
        return (self.max_depth * 4 ** (self.bits - 1)).bit_length() + 1

    @property
    def latency_cycles(self) -> int:
        """Return the cycles from a tile's last beat to its outputs."""
        return 4

    def cycles(self, num_tiles: int, depth: int) -> int:
        """Return the cycles of tiles, merged or dense, of `depth` products an output."""
        return num_tiles * -(-depth // self.dot_length) + self.latency_cycles
