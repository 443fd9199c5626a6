"""Reduce masks of what a technique left to the counts that a trace keeps of each tile of rows."""

from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tenuto.golden.conmerge import pack
from tenuto.traces.schema import BLOCK_ROWS

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]
_LANES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTiles:
    """The columns of `tenuto.traces.Tiles` for one operation, one entry a tile."""

    rows: Counts
    kept_rows: Counts
    needed_rows: Counts
    live_elements: Counts
    live_columns: Counts
    condensed_tiles: Counts
    merged_tiles: Counts

    def times(self, copies: int) -> "LiveTiles":
        """Return the counts of so many copies side by side, packed each for itself."""
        names = ("live_elements", "live_columns", "condensed_tiles", "merged_tiles")
        return replace(self, **{name: copies * getattr(self, name) for name in names})

    def padded(self, num_rows: int, tile_rows: int) -> "LiveTiles":
        """Return the counts of an operation with more rows, of which nothing is computed."""
        lengths = tile_lengths(num_rows, tile_rows)
        more = len(lengths) - len(self.rows)
        columns = {name: np.pad(column, (0, more)) for name, column in self.to_columns().items()}
        return LiveTiles(**(columns | {"rows": lengths}))

    def with_all_kept(self) -> "LiveTiles":
        """Return the counts where attention prediction alone left rows out."""
        return replace(self, kept_rows=self.rows)

    def to_columns(self) -> dict[str, Counts]:
        """Return the columns by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class BlockPacker:
    """Counts the array tiles of masks with the golden `pack`.

    Attributes:
        every: Pack one of so many blocks of 16 rows; the others of a tile take the mean ratio of
            merged to condensed tiles of those that were packed. 1 packs all.
    """

    every: int = 1

    def counts(self, mask: Mask) -> tuple[int, int, int, int]:
        """Return live elements, live columns, condensed tiles, merged tiles of (rows, columns)."""
        blocks = [mask[start : start + BLOCK_ROWS] for start in range(0, len(mask), BLOCK_ROWS)]
        live_columns = [int(block.any(0).sum()) for block in blocks]
        condensed = [-(-columns // _LANES) for columns in live_columns]
        merged = 0
        if blocks:
            packed = pack(np.concatenate(blocks[:: self.every]))  # only the last block is shorter
            share = packed.num_tiles / max(packed.num_condensed_tiles, 1)
            left = sum(condensed) - packed.num_condensed_tiles
            merged = packed.num_tiles + round(left * share)
        return int(mask.sum()), sum(live_columns), sum(condensed), merged


def tile_lengths(num_rows: int, tile_rows: int) -> Counts:
    """Return the rows of each tile; the last one takes what is left.

    >>> tile_lengths(300, 128).tolist()
    [128, 128, 44]
    """
    edges = np.append(np.arange(0, num_rows, tile_rows), num_rows)
    return np.diff(edges)


def dense_tiles(
    left: Mask, tile_rows: int, width: int, repeat: int = 1, *, is_needed: bool = False
) -> LiveTiles:
    """Count tiles of which some rows are computed, each of them whole; nothing is merged.

    Args:
        left: (copies, rows) rows to compute of each copy of the operation.
        tile_rows: Rows of a tile.
        width: Outputs of a row in one copy.
        repeat: How often each copy is in the operation.
        is_needed: Rows were left out by attention prediction, not by token reduction.
    """
    copies, num_rows = left.shape
    lengths = tile_lengths(num_rows, tile_rows)
    starts = np.cumsum(lengths) - lengths
    sums = np.add.reduceat(left.sum(0, dtype=np.int64), starts)
    mean = -(-sums // copies)
    blocks = -(-mean // BLOCK_ROWS) * copies * repeat
    tiles = blocks * -(-width // _LANES)
    return LiveTiles(
        rows=lengths,
        kept_rows=lengths if is_needed else mean,
        needed_rows=mean,
        live_elements=sums * width * repeat,
        live_columns=blocks * width,
        condensed_tiles=tiles,
        merged_tiles=tiles,
    )


def mask_tiles(
    masks: list[Mask], places: list[Counts], num_rows: int, tile_rows: int, packer: BlockPacker
) -> LiveTiles:
    """Count tiles of which single outputs are computed.

    Args:
        masks: (left, columns) of each copy: the outputs of the rows that are left.
        places: (left,) ascending row numbers of each copy's mask.
        num_rows: Rows of a copy before any was left out.
        tile_rows: Rows of a tile.
        packer: Counts array tiles.
    """
    lengths = tile_lengths(num_rows, tile_rows)
    totals = np.zeros((len(lengths), 5), np.int64)
    for mask, place in zip(masks, places, strict=True):
        edges = np.searchsorted(place, np.append(np.arange(len(lengths)) * tile_rows, num_rows))
        for tile, (start, end) in enumerate(pairwise(edges)):
            totals[tile] += (end - start, *packer.counts(mask[start:end]))
    mean = -(-totals[:, 0] // len(masks))
    return LiveTiles(
        rows=lengths,
        kept_rows=mean,
        needed_rows=mean,
        live_elements=totals[:, 1],
        live_columns=totals[:, 2],
        condensed_tiles=totals[:, 3],
        merged_tiles=totals[:, 4],
    )
