"""Symmetric quantization of token rows to INT8 or INT4, defined to the bit."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bits = Literal[4, 8]

SMALLEST_PEAK = 2.0**-100
"""Rows whose largest magnitude is below it become zeros; no subnormal number matters then."""


def quantize_rows(rows: NDArray[np.floating], bits: Bits) -> NDArray[np.int8]:
    """Scale each row so that its largest magnitude becomes the largest integer, and round.

    In IEEE float32, each operation rounded once to nearest even: ``inverse = levels / peak`` for
    each row, then ``rint(value * inverse)`` for each value, with ``levels`` 127 or 7. Cosines do
    not depend on a row's scale, so the scale is not kept.

    Args:
        rows: (n, d) finite values; rounded to float32 first.
        bits: 8 gives -127..127, 4 gives -7..7.

    Returns:
        (n, d) int8, also for 4 bits.

    Raises:
        ValueError: `bits` is neither 4 nor 8, or a value is not finite.

    Source: ours. ORBIS (arXiv 2605.22015) quantizes for its matching; how is not public.

    >>> quantize_rows(np.array([[0.5, -1.0, 0.1], [0.0, 0.0, 0.0]]), 8).tolist()
    [[64, -127, 13], [0, 0, 0]]
    """
    if bits not in (4, 8):
        raise ValueError(f"`bits` must be 4 or 8, got {bits!r}")
    values = np.asarray(rows, np.float32)
    if not np.isfinite(values).all():
        raise ValueError("`rows` must be finite, got NaN or infinity")
    levels = np.float32(2 ** (bits - 1) - 1)
    peak = np.abs(values).max(axis=1, keepdims=True, initial=0)
    is_zero = peak < np.float32(SMALLEST_PEAK)
    inverse = levels / np.where(is_zero, np.float32(1), peak)
    return np.where(is_zero, np.float32(0), np.rint(values * inverse)).astype(np.int8)
