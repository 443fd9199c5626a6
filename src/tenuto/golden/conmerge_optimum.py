"""The fewest tiles that any packing of a small mask can reach, by trying everything."""

from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

_MOST_COLUMNS = 10


def fewest_tiles(mask: NDArray[np.bool_], lanes: int, merge_limit: int = 3) -> int:
    """Return the optimum over all assignments of columns to tiles, lanes and units.

    A tile may take any columns, up to `merge_limit` in a lane, if alternative rows exist with which
    every output of every lane finds a unit of its own. `tenuto.golden.conmerge.pack` cannot do
    better: it makes such assignments.

    Args:
        mask: (rows, columns) bool, one block of rows; at most 4 rows and 10 non-empty columns.
        lanes: Lanes of the array, at least 1.
        merge_limit: Most columns in a lane, at least 1.

    Raises:
        ValueError: The mask is too large to try everything.

    Source: ours.

    >>> fewest_tiles(np.array([[1, 0, 1], [1, 0, 0]], bool), lanes=1)
    2
    """
    needs = [tuple(map(int, np.flatnonzero(column))) for column in mask.T if column.any()]
    if mask.shape[0] > 4 or len(needs) > _MOST_COLUMNS:
        raise ValueError(
            f"`mask` must have at most 4 rows and {_MOST_COLUMNS} non-empty columns, "
            f"got {mask.shape[0]} and {len(needs)}"
        )
    groups = [
        (sum(1 << column for column in group), [row for column in group for row in needs[column]])
        for size in range(1, merge_limit + 1)
        for group in combinations(range(len(needs)), size)
    ]
    num_rows, everything = mask.shape[0], (1 << len(needs)) - 1
    fit_one_tile: set[int] = set()
    for alternative in product(range(num_rows), repeat=num_rows):
        lane_sets = {bits for bits, rows in groups if _fits_lane(rows, alternative)}
        fit_one_tile |= _unions(lane_sets, lanes)
    return _fewest_unions(fit_one_tile, everything)


def _fits_lane(rows: list[int], alternative: tuple[int, ...]) -> bool:
    """Whether each row finds a line of its own that is it or has it as its alternative."""
    if len(rows) > len(alternative):
        return False
    if not rows:
        return True
    row, rest = rows[0], rows[1:]
    return _assign(row, rest, alternative, frozenset())


def _assign(row: int, rest: list[int], alternative: tuple[int, ...], busy: frozenset[int]) -> bool:
    """Backtrack over the free lines for a row, then for the rest."""
    for line, other in enumerate(alternative):
        if line in busy or row not in (line, other):
            continue
        if not rest or _assign(rest[0], rest[1:], alternative, busy | {line}):
            return True
    return False


def _unions(lane_sets: set[int], lanes: int) -> set[int]:
    """All sets of columns that up to `lanes` lanes hold, each column once."""
    reached = {0}
    for _ in range(lanes):
        reached |= {done | more for done in reached for more in lane_sets if not done & more}
    return reached


def _fewest_unions(fit_one_tile: set[int], everything: int) -> int:
    """How many of the sets cover all columns; subsets of a set that fits are in it too."""
    reached, num_tiles = {0}, 0
    while everything not in reached:
        num_tiles += 1
        reached |= {done | more for done in reached for more in fit_one_tile}
    return num_tiles
