"""ConMerge: pack the needed outputs of a sparse product into few full tiles of an array.

The array has `rows` x `lanes` dot-product units. Row line r carries one input row to all units of
its row, lane c one weight column to all units of its lane, so a dense tile makes 16 x 16 outputs of
16 rows and 16 columns. With few outputs needed most units idle. ConMerge leaves out columns that
nobody needs (condensing) and lays up to three tiles of the same rows over each other (merging): a
unit then takes the weight of any of three columns, and the input of its own row or of one
alternative row that its line carries as well.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tenuto.golden.conmerge_merge import merge_tiles

Mask = NDArray[np.bool_]
Int32 = NDArray[np.int32]
_MOST_MERGED = 127


@dataclass(frozen=True, kw_only=True, eq=False)
class Packing:
    """What every unit of the array does in every tile.

    Attributes:
        shape: Rows and columns of the packed mask.
        block: int32 (tiles,): tile t works on input rows ``block[t] * rows + (0 .. rows - 1)``.
        columns: int32 (tiles, merge_limit, lanes): weight columns that each lane holds, in the
            order in which they were merged; -1 where there is none.
        alternative: int16 (tiles, rows): row of the block that a row line carries besides its own;
            -1 where there is none. EXION's conflict vector.
        select: int8 (tiles, rows, lanes): which of its lane's columns a unit uses; -1 idles.
        moved: bool (tiles, rows, lanes): the unit takes its line's alternative row, not its own.
        num_condensed_tiles: Tiles after condensing, before merging.
    """

    shape: tuple[int, int]
    block: NDArray[np.int32]
    columns: NDArray[np.int32]
    alternative: NDArray[np.int16]
    select: NDArray[np.int8]
    moved: Mask
    num_condensed_tiles: int

    @property
    def num_tiles(self) -> int:
        """Tiles that the array runs."""
        return len(self.block)

    @property
    def num_dense_tiles(self) -> int:
        """Tiles that it would run if every output were needed."""
        rows, lanes = self.select.shape[1:]
        return -(-self.shape[0] // rows) * -(-self.shape[1] // lanes)

    @cached_property
    def outputs(self) -> NDArray[np.int64]:
        """(needed, 2): output row and column of every busy unit, by tile, row line and lane."""
        tile, line, lane = np.nonzero(self.select >= 0)
        chosen = self.select[tile, line, lane]
        local = np.where(self.moved[tile, line, lane], self.alternative[tile, line], line)
        row = self.block[tile] * self.select.shape[1] + local
        column = self.columns[tile, chosen, lane]
        return np.stack([row, column], axis=1).astype(np.int64)

    def unpack(self) -> NDArray[np.int64]:
        """Return (needed, 2) rows and columns of the outputs, sorted; repeats would show.

        Equal to ``np.argwhere(mask)``.
        """
        outputs = self.outputs
        return outputs[np.lexsort((outputs[:, 1], outputs[:, 0]))]


def pack(mask: Mask, rows: int = 16, lanes: int = 16, merge_limit: int = 3) -> Packing:
    """Pack the needed outputs of a product; each gets exactly one unit in one tile.

    Every block of `rows` rows is packed by itself (the last one may be shorter):

    1. Condense: take the columns with a needed output in the block.
    2. Sort them by their number of needed outputs, most first; ties keep the lower column first.
    3. Cut the sorted columns into tiles of `lanes`: column i goes to tile i // lanes, lane
       i % lanes. The last tile may have empty lanes.
    4. Merge. The host is the first tile that is left. Try the tiles left after it from the last to
       the first; each that can be merged joins the host, until `merge_limit` tiles are together or
       none is left to try. A tile that cannot be merged stays for a later host. Emit; repeat.

    To merge a tile into the host, its outputs (r, c) whose unit is free take it. Then each other
    output (r, c), lanes in rising order and rows in rising order within a lane, moves to a free
    unit (r', c): the lowest r' whose line has r as its alternative row already; if there is none,
    the lowest r' whose line has no alternative row, which becomes r. If there is none either, the
    host is as if the tile had not been tried.

    Args:
        mask: (rows, columns) bool; True where an output is needed. Any size, empty included.
        rows: Row lines of the array, in [1, 32767].
        lanes: Lanes of the array, at least 1.
        merge_limit: Most tiles laid over each other, in [1, 127]; 1 only condenses.

    Raises:
        TypeError: `mask` is not a bool array.
        ValueError: `mask` has not two axes, or a number is out of its range.

    Source: EXION (arXiv 2501.05680): condensing, merging with conflict vectors. Sorting, the order
    of the tries, the choice of units and the limit of 3 are reconstructed.

    >>> packing = pack(np.array([[1, 0, 1], [1, 0, 0]], bool), rows=2, lanes=1)
    >>> packing.num_dense_tiles, packing.num_condensed_tiles, packing.num_tiles
    (3, 2, 2)
    """
    _check(mask, rows, lanes, merge_limit)
    parts = [_nothing(rows, lanes, merge_limit)]
    num_condensed = 0
    for index, start in enumerate(range(0, mask.shape[0], rows)):
        tiles, ids = _condensed(mask[start : start + rows], rows, lanes)
        num_condensed += len(tiles)
        members, units = _merged(tiles, merge_limit)
        columns = np.where(members[..., None] >= 0, ids[members], -1).astype(np.int32)
        parts.append((np.full(len(members), index, np.int32), columns, units))
    block, columns, units = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Packing(
        shape=(mask.shape[0], mask.shape[1]),
        block=block,
        columns=columns,
        alternative=units[:, :, lanes].astype(np.int16),
        select=(units[:, :, :lanes] >> 1).astype(np.int8),
        moved=(units[:, :, :lanes] >= 0) & (units[:, :, :lanes] & 1).astype(np.bool_),
        num_condensed_tiles=num_condensed,
    )


def _condensed(block: Mask, rows: int, lanes: int) -> tuple[Mask, NDArray[np.int64]]:
    """Return (tiles, rows, lanes) needed outputs, densest first, and (tiles, lanes) column ids."""
    population = block.sum(0)
    columns = np.flatnonzero(population)
    columns = columns[np.argsort(-population[columns], kind="stable")]
    num_tiles = -(-len(columns) // lanes)
    ids = np.full(num_tiles * lanes, -1, np.int64)
    ids[: len(columns)] = columns
    tiles = np.zeros((rows, num_tiles * lanes), np.bool_)
    tiles[: len(block), : len(columns)] = block[:, columns]
    by_tile = tiles.reshape(rows, num_tiles, lanes).swapaxes(0, 1)
    return np.ascontiguousarray(by_tile), ids.reshape(num_tiles, lanes)


def _merged(tiles: Mask, merge_limit: int) -> tuple[Int32, Int32]:
    """Return members and units of the merged tiles of one block, as `merge_tiles` writes them."""
    num_tiles, rows, lanes = tiles.shape
    members = np.full((num_tiles, merge_limit), -1, np.int32)
    units = np.full((num_tiles, rows, lanes + 1), -1, np.int32)
    num_merged = merge_tiles(tiles, members, units, np.empty((rows, lanes + 1), np.int32))
    return members[:num_merged], units[:num_merged]


def _nothing(rows: int, lanes: int, merge_limit: int) -> tuple[Int32, Int32, Int32]:
    """Blocks, columns and units of no tile at all."""
    shapes = (0,), (0, merge_limit, lanes), (0, rows, lanes + 1)
    block, columns, units = (np.empty(shape, np.int32) for shape in shapes)
    return block, columns, units


def _check(mask: Mask, rows: int, lanes: int, merge_limit: int) -> None:
    if mask.dtype != np.bool_:
        raise TypeError(f"`mask` must be a bool array, got dtype {mask.dtype}")
    if mask.ndim != 2:
        raise ValueError(f"`mask` must have two axes, got shape {mask.shape}")
    if not 1 <= rows <= np.iinfo(np.int16).max:
        raise ValueError(f"`rows` must be in [1, 32767], got {rows!r}")
    if lanes < 1:
        raise ValueError(f"`lanes` must be at least 1, got {lanes!r}")
    if not 1 <= merge_limit <= _MOST_MERGED:
        raise ValueError(f"`merge_limit` must be in [1, {_MOST_MERGED}], got {merge_limit!r}")
