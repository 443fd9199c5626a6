"""Leading-one arithmetic: operands become sums of one or two powers of two, products become shifts.

Sign and magnitude are separate, so every function is odd: ``f(-x) == -f(x)``. With x = s * m and
m's leading one at bit a, one step keeps 2^a and two steps keep 2^a + 2^b, b being the leading one
of m - 2^a. A product of two-step operands is four shifted ones, and no multiplier.

Bounds, for every integer: one step keeps more than 1/2 of a magnitude and two steps more than 3/4;
products keep more than 1/4 and more than 9/16. The tests prove them by enumeration.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.integer]
LeadingOnes = Literal[1, 2]
"""How many leading ones of each operand are kept."""

_MAX_OPERAND_BITS = 31


def lod(values: ArrayLike) -> Integers:
    """Keep the leading one of each magnitude.

    Args:
        values: Integers of any dtype and shape; the smallest of a signed dtype included.

    Returns:
        sign(x) * 2^floor(log2 |x|) in the dtype and shape of `values`; 0 for 0.

    Raises:
        TypeError: `values` are not integers.

    Source: leading-one detection as in FACT (ISCA 2023) and EXION (arXiv 2501.05680).

    >>> lod(np.array([0, 1, -5, 7, -8])).tolist()
    [0, 1, -4, 4, -8]
    """
    signed = _integers(values, "values")
    magnitude = _magnitude(signed)
    return _with_sign_of(signed, _leading(magnitude))


def two_step_lod(values: ArrayLike) -> Integers:
    """Keep the first and the second leading one of each magnitude.

    Args:
        values: As in `lod`.

    Returns:
        sign(x) * (2^a + 2^b) in the dtype and shape of `values`; a power of two maps to itself, 0
        to 0.

    Raises:
        TypeError: `values` are not integers.

    Source: ours; what EXION's "two-step leading-one detection" is taken to mean from its name.

    >>> two_step_lod(np.array([0, 1, -5, 7, -8])).tolist()
    [0, 1, -5, 6, -8]
    """
    signed = _integers(values, "values")
    magnitude = _magnitude(signed)
    first = _leading(magnitude)
    return _with_sign_of(signed, first | _leading(magnitude ^ first))


def approximate(values: ArrayLike, leading_ones: LeadingOnes) -> Integers:
    """Return `lod` or `two_step_lod` of the values.

    Raises:
        ValueError: `leading_ones` is neither 1 nor 2.
    """
    if leading_ones not in (1, 2):
        raise ValueError(f"`leading_ones` must be 1 or 2, got {leading_ones!r}")
    return lod(values) if leading_ones == 1 else two_step_lod(values)


def product(left: ArrayLike, right: ArrayLike, leading_ones: LeadingOnes = 2) -> NDArray[np.int64]:
    """Multiply element by element with shifts and adds only.

    Args:
        left: Integers with magnitudes below 2^31; broadcasts against `right`.
        right: Likewise.
        leading_ones: Kept of each operand: 1 makes one shift of a product, 2 makes four.

    Returns:
        2^(a+c), or 2^(a+c) + 2^(a+d) + 2^(b+c) + 2^(b+d), with the sign of the exact product;
        int64. It equals the product of the approximated operands.

    Raises:
        TypeError: An operand is not of integers.
        ValueError: A magnitude is too large, or `leading_ones` is neither 1 nor 2.

    Source: EXION (arXiv 2501.05680), log-domain products; the four terms are reconstructed.

    >>> product(np.int8(7), np.int8([-3, 16])).tolist()
    [-18, 96]
    """
    left_sign, left_terms = _terms(left, leading_ones, "left")
    right_sign, right_terms = _terms(right, leading_ones, "right")
    total = np.int64(0)
    for ones in left_terms:
        for more in right_terms:
            total = total + _shifted(ones, more)
    return left_sign * right_sign * total


def dot(left: ArrayLike, right: ArrayLike, leading_ones: LeadingOnes = 2) -> NDArray[np.int64]:
    """Add up the products along the last axis.

    Args:
        left: (..., length) integers with magnitudes below 2^31; broadcasts against `right`.
        right: Likewise.
        leading_ones: As in `product`.

    Returns:
        (...) int64 sums. The caller sees to it that they stay below 2^63: INT12 operands do up to
        a length of 2^41.

    Raises:
        TypeError: As `product`.
        ValueError: As `product`.

    >>> dot(np.int8([7, 1]), np.int8([[-3, 2], [1, 1]])).tolist()
    [-16, 7]
    """
    return product(left, right, leading_ones).sum(-1)


def _integers(values: ArrayLike, name: str) -> Integers:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"`{name}` must be integers, got dtype {array.dtype}")
    return array


def _magnitude(signed: Integers) -> Integers:
    """Magnitudes in the unsigned dtype of the same width, which holds that of the smallest too."""
    return _negated(signed.astype(np.dtype(f"u{signed.dtype.itemsize}")), signed < 0)


def _with_sign_of(signed: Integers, magnitude: Integers) -> Integers:
    """Put signs back; wraps to the smallest value where the magnitude is its."""
    return _negated(magnitude, signed < 0).astype(signed.dtype)


def _negated(bits: Integers, where: NDArray[np.bool_]) -> Integers:
    """Two's complement of unsigned numbers; single numbers would warn of the wrap that it is."""
    with np.errstate(over="ignore"):
        return np.where(where, ~bits + bits.dtype.type(1), bits)


def _leading(magnitude: Integers) -> Integers:
    """The leading one alone: copy it into all lower bits, then take away all but the highest."""
    smeared, one = magnitude, magnitude.dtype.type(1)
    for step in (1, 2, 4, 8, 16, 32):
        if step < 8 * magnitude.dtype.itemsize:
            smeared = smeared | (smeared >> magnitude.dtype.type(step))
    return smeared ^ (smeared >> one)


def _terms(
    values: ArrayLike, leading_ones: LeadingOnes, name: str
) -> tuple[NDArray[np.int64], list[Integers]]:
    """Signs, and the powers of two that each magnitude becomes; 0 where there is none."""
    if leading_ones not in (1, 2):
        raise ValueError(f"`leading_ones` must be 1 or 2, got {leading_ones!r}")
    signed = _integers(values, name)
    magnitude = _magnitude(signed).astype(np.uint64)
    if magnitude.size and int(magnitude.max()) >> _MAX_OPERAND_BITS:
        raise ValueError(
            f"`{name}` must have magnitudes below 2^{_MAX_OPERAND_BITS}, got {magnitude.max()}"
        )
    sign = np.where(signed < 0, np.int64(-1), np.int64(1))
    first = _leading(magnitude)
    terms = [first, _leading(magnitude ^ first)]
    return sign, terms[:leading_ones]


def _shifted(ones: Integers, more: Integers) -> NDArray[np.int64]:
    """One power of two shifted by the other's exponent; 0 where either is 0."""
    exponent = np.maximum(np.frexp(more.astype(np.float64))[1] - 1, 0)  # frexp(2^n) is (0.5, n + 1)
    shifted = (ones << exponent.astype(np.uint64)).astype(np.int64)
    return np.where(more == 0, np.int64(0), shifted)
