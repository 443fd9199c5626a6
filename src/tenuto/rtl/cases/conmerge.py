"""Masks from nearly empty to full, blocks without a needed output among them."""

import numpy as np
from numpy.typing import NDArray

from tenuto.conmerge_timing import ConMerge as Size
from tenuto.conmerge_timing import work_of
from tenuto.golden.conmerge import pack as golden_pack
from tenuto.rtl.conmerge import ConMerge
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import Words, pack

Mask = NDArray[np.bool_]


def case_from(size: Size, blocks: list[Mask]) -> Case:
    """Return the case of (rows, columns) blocks, one after the other; a vector is a column."""
    columns = np.concatenate([block.T for block in blocks])
    is_last = np.concatenate([np.arange(b.shape[1]) == b.shape[1] - 1 for b in blocks])
    works = [work_of(block, size.lanes, size.merge_limit) for block in blocks]
    return Case(
        unit=lambda: ConMerge(size),
        inputs=pack([(columns, 1), (is_last, 1)]),
        outputs=np.concatenate([merged(size, block) for block in blocks]),
        vectors=len(columns),
        cycles=size.cycles(works),
    )


def merged(size: Size, block: Mask) -> Words:
    """Return the merged tiles of a block in the layout of `TileMerge.o`."""
    packing = golden_pack(block, size.rows, size.lanes, size.merge_limit)
    tiles, is_empty = max(packing.num_tiles, 1), packing.num_tiles == 0
    transfers = 1 if is_empty else tiles * size.lanes
    lane = np.arange(transfers) % size.lanes
    by_lane = (tiles * size.lanes, size.rows)
    if is_empty:
        select = np.full((1, size.rows), -1)
        moved = np.zeros((1, size.rows), bool)
        columns = np.full((1, size.merge_limit), -1)
        alternative = np.full((1, size.rows), -1)
    else:
        select = packing.select.swapaxes(1, 2).reshape(by_lane)
        moved = packing.moved.swapaxes(1, 2).reshape(by_lane)
        columns = packing.columns.swapaxes(1, 2).reshape(-1, size.merge_limit)
        alternative = np.repeat(packing.alternative, size.lanes, axis=0)
    member_bits = (size.merge_limit - 1).bit_length()
    unit = (select >= 0) | (np.maximum(select, 0) << 1) | (moved.astype(int) << (1 + member_bits))
    return pack(
        [
            (unit, 2 + member_bits),
            (_optional(columns), 1 + (size.max_columns - 1).bit_length()),
            (_optional(alternative), 1 + (size.rows - 1).bit_length()),
            (~np.full(transfers, is_empty) & (lane == size.lanes - 1), 1),
            (np.arange(transfers) == transfers - 1, 1),
            (np.full(transfers, is_empty), 1),
        ]
    )


def _optional(values: NDArray[np.integer]) -> NDArray[np.integer]:
    """Put a bit below each value that says whether there is one; -1 is none."""
    return np.where(values >= 0, 2 * values.astype(np.int64) + 1, 0)


def small(random: np.random.Generator) -> Case:
    """Return 6 blocks of 4 x up to 24 for an array of 4 x 4."""
    size = Size(rows=4, lanes=4, merge_limit=3, max_columns=24)
    shares = (0.25, 0.0, 0.1, 0.5, 1.0, 0.3)
    columns = (24, 5, 24, 9, 24, 1)
    blocks = [random.random((4, n)) < share for n, share in zip(columns, shares, strict=True)]
    return case_from(size, blocks)


def large(random: np.random.Generator) -> Case:
    """Return 4,000 blocks of 16 x 256: a million columns for the array of 16 x 16."""
    size = Size(max_columns=256)
    shares = random.uniform(0.01, 0.4, 4_000)
    return case_from(size, [random.random((16, 256)) < share for share in shares])
