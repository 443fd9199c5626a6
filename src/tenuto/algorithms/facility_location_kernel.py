"""The greedy rounds of facility location as loops, compiled by numba where that is installed.

On a CPU a round of a small window is too little work for torch's operators: at two windows of 256
tokens their overhead is nearly all of the time. Without numba, and on other devices, torch's
operators do the same (`tenuto.algorithms.facility_location`); the results are equal to the bit.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from inspect import unwrap
from typing import Any

import numpy as np

IS_COMPILED = find_spec("numba") is not None
"""Whether the loops run as machine code; as plain Python they would be slower than torch."""


@cache
def extend_windows() -> Callable[..., None]:
    """Return the compiled rounds.

    They let windows choose destinations, each by itself, and take numpy arrays:

    ========================  =====================================================================
    similarities              int16 (windows, members, members), symmetric, 0..32767
    chosen_windows            int64, which of them choose
    first, num_rounds         numbers of the rounds
    covered                   int16 (windows, members), written to: by what each token is covered
    gain                      int32 (windows, members), written to: of each as a destination, below
                              0 where it is none or chosen
    gains, positions          int32 and int64 (windows, members), receive each round's choice
    last                      int32 (windows,), receives the gain of the last round
    ========================  =====================================================================
    """
    from numba import njit

    # The tests check types at run time by wrapping every function here: numba needs it bare.
    return njit(cache=True, nogil=True)(unwrap(_extend_windows))


def _extend_windows(  # noqa: PLR0913, PLR0917 (numba takes no records)
    similarities: Any,
    chosen_windows: Any,
    first: int,
    num_rounds: int,
    covered: Any,
    gain: Any,
    gains: Any,
    positions: Any,
    last: Any,
) -> None:
    for w in chosen_windows:
        window, cover, own = similarities[w], covered[w], gain[w]
        for k in range(first, first + num_rounds):
            position = own.argmax()  # the lowest of equals
            gains[w, k] = last[w] = own[position]
            positions[w, k] = position
            for token in range(len(cover)):
                old, new = np.int32(cover[token]), np.int32(window[position, token])
                if new > old:  # this token's part of every gain shrinks
                    row = window[token]
                    for j in range(len(row)):
                        own[j] -= max(np.int32(0), min(np.int32(row[j]), new) - old)
                    cover[token] = new
            own[position] = -1
