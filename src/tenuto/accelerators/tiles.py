"""Adds up the tiles of each operation in one pass (numba), and finds its most loaded core."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tenuto.accelerators.compiled import njit
from tenuto.traces.schema import BLOCK_ROWS, Tiles, Trace

Floats = NDArray[np.float64]
Granularity = Literal["none", "column", "merged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSums:
    """Sums over an operation's tiles, one entry an operation; fields as in `Tiles`.

    Attributes:
        blocks: Blocks of 16 needed rows.
        imbalance: Load of the busiest core over the mean. Blocks of 16 rows go to cores in turn,
            each in so many column parts that a core gets `UNITS_A_CORE` or more; the blocks of a
            tile are taken as equal.
    """

    kept_rows: Floats
    needed_rows: Floats
    live_elements: Floats
    live_columns: Floats
    condensed_tiles: Floats
    merged_tiles: Floats
    blocks: Floats
    imbalance: Floats


UNITS_A_CORE = 4


def tile_sums(trace: Trace, num_cores: int, granularity: Granularity) -> TileSums:
    """Sum the tiles of each operation; zeros where it has none.

    Args:
        trace: Whose tiles.
        num_cores: That share an operation.
        granularity: Of the compaction; it decides what a core's load is.
    """
    length = len(trace.operations)
    sums = np.zeros((7, length))
    imbalance = np.ones(length)
    if len(trace.tiles):
        columns = _columns(trace.tiles)
        load = {"none": 2, "column": 5, "merged": 6}[granularity]
        _add(columns, columns[load], num_cores, BLOCK_ROWS, sums, imbalance)
    names = (
        "kept_rows", "needed_rows", "live_elements", "live_columns", "condensed_tiles",
        "merged_tiles", "blocks",
    )  # fmt: skip
    return TileSums(**dict(zip(names, sums, strict=True)), imbalance=imbalance)


def _columns(tiles: Tiles) -> tuple[NDArray[np.integer], ...]:
    names = (
        ("operation", np.int32), ("kept_rows", np.uint16), ("needed_rows", np.uint16),
        ("live_elements", np.uint32), ("live_columns", np.uint32), ("condensed_tiles", np.uint32),
        ("merged_tiles", np.uint32),
    )  # fmt: skip
    return tuple(np.ascontiguousarray(getattr(tiles, name), kind) for name, kind in names)


@njit(cache=True)
def _add(columns_of_tiles, load, num_cores, block_rows, sums, imbalance):
    operation, kept, needed, elements, columns, condensed, merged = columns_of_tiles
    start, total = 0, len(operation)
    while start < total:
        index = operation[start]
        end = start
        while end < total and operation[end] == index:
            sums[0, index] += kept[end]
            sums[1, index] += needed[end]
            sums[2, index] += elements[end]
            sums[3, index] += columns[end]
            sums[4, index] += condensed[end]
            sums[5, index] += merged[end]
            sums[6, index] += (needed[end] + block_rows - 1) // block_rows
            end += 1
        parts = max(1, np.ceil(UNITS_A_CORE * num_cores / max(sums[6, index], 1.0)))
        imbalance[index] = _busiest(
            needed[start:end], load[start:end], int(parts), num_cores, block_rows
        )
        start = end


@njit(cache=True)
def _busiest(needed, load, parts, num_cores, block_rows):
    # A tile's equal units go to cores turn, turn + 1, ...: a step up and a step down of the loads,
    # which are their running sum over the cores twice around.
    steps = np.zeros(2 * num_cores)
    everywhere, turn, total = 0.0, 0, 0.0
    for tile in range(len(load)):
        units = ((needed[tile] + block_rows - 1) // block_rows) * parts
        if units == 0:
            continue
        unit = load[tile] / units
        total += load[tile]
        rest = units % num_cores
        everywhere += unit * (units // num_cores)
        steps[turn] += unit
        steps[turn + rest] -= unit
        turn = (turn + rest) % num_cores
    largest, running = 0.0, np.cumsum(steps)
    for core in range(num_cores):
        largest = max(largest, everywhere + running[core] + running[core + num_cores])
    return largest * num_cores / total if total > 0 else 1.0
