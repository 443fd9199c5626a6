"""Adds up the tiles of each operation in one pass (numba), and finds its most loaded core."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tenuto.accelerators.compiled import njit
from tenuto.traces.schema import BLOCK_ROWS, Tiles, Trace

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSums:
    """Sums over an operation's tiles, one entry an operation; fields as in `Tiles`.

    Attributes:
        blocks: Blocks of 16 needed rows.
        imbalance: Load of the busiest core over the mean, when blocks go to cores in turn (those of
            a tile are taken as equal); 1 where an operation has fewer blocks than there are cores:
            it is split by columns then.
    """

    kept_rows: Floats
    needed_rows: Floats
    live_elements: Floats
    live_columns: Floats
    condensed_tiles: Floats
    merged_tiles: Floats
    blocks: Floats
    imbalance: Floats


def tile_sums(trace: Trace, num_cores: int) -> TileSums:
    """Sum the tiles of each operation; zeros where it has none."""
    tiles, length = trace.tiles, len(trace.operations)
    sums = np.zeros((7, length))
    imbalance = np.ones(length)
    if len(tiles):
        _add(_columns(tiles), num_cores, BLOCK_ROWS, sums, imbalance)
    names = (
        "kept_rows", "needed_rows", "live_elements", "live_columns", "condensed_tiles",
        "merged_tiles", "blocks",
    )  # fmt: skip
    return TileSums(**dict(zip(names, sums, strict=True)), imbalance=imbalance)


def _columns(tiles: Tiles) -> tuple[NDArray[np.integer], ...]:
    return (
        np.ascontiguousarray(tiles.operation, np.int32),
        np.ascontiguousarray(tiles.kept_rows, np.uint16),
        np.ascontiguousarray(tiles.needed_rows, np.uint16),
        np.ascontiguousarray(tiles.live_elements, np.uint32),
        np.ascontiguousarray(tiles.live_columns, np.uint32),
        np.ascontiguousarray(tiles.condensed_tiles, np.uint32),
        np.ascontiguousarray(tiles.merged_tiles, np.uint32),
    )


@njit(cache=True)
def _add(columns_of_tiles, num_cores, block_rows, sums, imbalance):
    operation, kept, needed, elements, columns, condensed, merged = columns_of_tiles
    loads = np.zeros(num_cores)
    start = 0
    total = len(operation)
    while start < total:
        index = operation[start]
        loads[:] = 0.0
        turn = 0
        end = start
        while end < total and operation[end] == index:
            sums[0, index] += kept[end]
            sums[1, index] += needed[end]
            sums[2, index] += elements[end]
            sums[3, index] += columns[end]
            sums[4, index] += condensed[end]
            sums[5, index] += merged[end]
            sums[6, index] += (needed[end] + block_rows - 1) // block_rows
            blocks = (needed[end] + block_rows - 1) // block_rows
            for _ in range(blocks):
                loads[turn] += merged[end] / blocks
                turn = turn + 1 if turn + 1 < num_cores else 0
            end += 1
        if sums[6, index] >= num_cores and sums[5, index] > 0:
            imbalance[index] = loads.max() * num_cores / sums[5, index]
        start = end
