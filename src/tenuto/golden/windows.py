"""Split a token sequence or grid into matching windows."""

from math import prod

import numpy as np
from numpy.typing import NDArray


def window_members(
    num_tokens: int, window: int | tuple[int, ...], grid: tuple[int, ...] | None = None
) -> list[NDArray[np.int64]]:
    """Return the token indices of each window, ascending.

    Every token is in exactly one window. Windows at the far border of an axis are smaller where
    the window does not divide it. Windows are numbered row-major, as the tokens of a grid are.

    Args:
        num_tokens: Tokens in all.
        window: Consecutive tokens, or tokens along each axis of `grid`.
        grid: Tokens along each axis; needed for a window with axes.

    Raises:
        ValueError: The grid is not known or does not hold the tokens, or the window is larger
            than it.

    >>> [members.tolist() for members in window_members(6, (2, 2), (2, 3))]
    [[0, 1, 3, 4], [2, 5]]
    >>> [members.tolist() for members in window_members(5, 2)]
    [[0, 1], [2, 3], [4]]
    """
    if isinstance(window, int):
        if not 1 <= window <= num_tokens:
            raise ValueError(f"`window` must be in [1, {num_tokens}] tokens, got {window!r}")
        window, grid = (window,), (num_tokens,)
    if grid is None:
        raise ValueError(f"`grid` must be given for a window with axes such as {window}, got None")
    if prod(grid) != num_tokens:
        raise ValueError(f"`grid` must hold {num_tokens} tokens, got {grid} = {prod(grid)}")
    if len(window) != len(grid) or not all(
        1 <= size <= axis for size, axis in zip(window, grid, strict=True)
    ):
        raise ValueError(f"`window` must fit into the token grid {grid}, got {window}")
    index = np.arange(num_tokens).reshape(grid)
    counts = [-(-axis // size) for axis, size in zip(grid, window, strict=True)]
    members: list[NDArray[np.int64]] = []
    for place in np.ndindex(*counts):
        box = tuple(slice(p * s, (p + 1) * s) for p, s in zip(place, window, strict=True))
        members.append(index[box].reshape(-1))
    return members
