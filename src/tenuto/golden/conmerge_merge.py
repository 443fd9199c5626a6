"""Lay tiles over each other: one source, compiled by numba where that is installed.

The functions are plain loops over numpy arrays in the part of Python that numba compiles. Without
numba they run as they are: the results are the same to the bit, only slower.
"""

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function")

if TYPE_CHECKING:

    def njit(function: Function) -> Function:
        """Compile a function; types and results stay as they are."""
        return function
else:
    try:
        from functools import partial

        from numba import njit as compile_at_first_call

        njit = partial(compile_at_first_call, cache=True)
    except ImportError:

        def njit(function: Function) -> Function:
            """Leave a function as it is."""
            return function


Int32 = NDArray[np.int32]


@njit
def merge_tiles(tiles: NDArray[np.bool_], members: Int32, units: Int32, trial: Int32) -> int:
    """Merge the tiles of one block of rows; `tenuto.golden.conmerge.pack` states the algorithm.

    Args:
        tiles: (tiles, rows, lanes) needed outputs, densest tile first.
        members: (tiles, merge_limit), all -1. Receives the numbers of the tiles in each merged
            tile, in the order of merging.
        units: (tiles, rows, lanes + 1), all -1. Receives, for each merged tile, 2 * m where a unit
            works for the m-th member, one more where it takes its line's alternative row; and in
            the last place of each line that alternative row.
        trial: (rows, lanes + 1) scratch.

    Returns:
        How many merged tiles there are; the rest of the arrays stays -1.
    """
    num_tiles, merge_limit = members.shape
    needed = _needed_in_lanes(tiles)
    is_taken = np.zeros(num_tiles, np.bool_)
    num_merged = 0
    for host in range(num_tiles):
        if is_taken[host]:
            continue
        _place(tiles[host], 0, units[num_merged], trial)
        members[num_merged, 0] = host
        free = tiles.shape[1] - needed[host]
        num_members = 1
        for other in range(num_tiles - 1, host, -1):
            # Tiles before one that is too large are larger: they do not fit either.
            if num_members == merge_limit or needed[other].sum() > free.sum():
                break
            if is_taken[other] or not _fits(needed[other], free):
                continue
            if _place(tiles[other], num_members, units[num_merged], trial):
                members[num_merged, num_members] = other
                is_taken[other] = True
                free -= needed[other]
                num_members += 1
        num_merged += 1
    return num_merged


@njit
def _needed_in_lanes(tiles: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Needed outputs in each lane of each tile."""
    num_tiles, rows, lanes = tiles.shape
    needed = np.zeros((num_tiles, lanes), np.int64)
    for tile in range(num_tiles):
        for row in range(rows):
            for lane in range(lanes):
                needed[tile, lane] += int(tiles[tile, row, lane])
    return needed


@njit
def _fits(needed: NDArray[np.int64], free: NDArray[np.int64]) -> bool:
    """Whether every lane has as many free units as are needed in it."""
    for lane in range(len(free)):  # noqa: SIM110 - numba compiles no generators in all()
        if needed[lane] > free[lane]:
            return False
    return True


@njit
def _place(tile: NDArray[np.bool_], member: int, units: Int32, trial: Int32) -> bool:
    """Give every output of a tile a unit, or change nothing and return False."""
    rows, lanes = tile.shape
    for row in range(rows):
        trial[row, lanes] = units[row, lanes]
        for lane in range(lanes):
            is_own = tile[row, lane] and units[row, lane] < 0
            trial[row, lane] = 2 * member if is_own else units[row, lane]
    for lane in range(lanes):
        for row in range(rows):
            if not tile[row, lane] or units[row, lane] < 0:
                continue
            line = _free_line(trial, row, lane)
            if line < 0:
                return False
            trial[line, lane] = 2 * member + 1
            trial[line, lanes] = row
    for row in range(rows):
        for lane in range(lanes + 1):
            units[row, lane] = trial[row, lane]
    return True


@njit
def _free_line(units: Int32, row: int, lane: int) -> int:
    """Return the line of the lane's free unit that can take the row, -1 where there is none."""
    unset = -1
    for line in range(len(units)):
        if units[line, lane] >= 0:
            continue
        if units[line, -1] == row:
            return line
        if units[line, -1] < 0 and unset < 0:
            unset = line
    return unset
