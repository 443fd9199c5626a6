"""Cosines within windows in 15-bit fixed point: `tenuto.golden.datm.similarity`, batched."""

import torch
from torch import Tensor

from tenuto.algorithms.shapes import Float, Int

FULL = 2**15 - 1
"""A token's similarity to itself."""

# A float32 sum of this many products of int8 values is exact: 1024 * 2^14 = 2^24.
_EXACT_CHANNELS = 1024
_MANTISSA_BITS, _FRACTION_BITS = 16, 15


def fixed_similarity(
    tokens: Float[Tensor, "windows members channels"],
) -> Int[Tensor, "windows members members"]:
    """Return the cosines of quantized tokens, negative ones as 0, `FULL` on the diagonal.

    Args:
        tokens: Integers in -128..127 as float32, at most 65,536 channels. Rows of zeros resemble
            nothing else.

    Returns:
        int16, bit for bit as the golden function on every device.

    >>> fixed_similarity(torch.tensor([[[3.0, 4.0], [4.0, 3.0], [-3.0, 4.0]]])).tolist()
    [[[32767, 31456, 9174], [31456, 32767, 0], [9174, 0, 32767]]]
    """
    dots = _exact_products(tokens)
    mantissa, exponent = reciprocal_roots(dots.diagonal(dim1=1, dim2=2))
    shift = 2 * _MANTISSA_BITS - _FRACTION_BITS + exponent
    scaled = dots.clamp_(min=0).mul_(mantissa[:, :, None]).mul_(mantissa[:, None])
    scaled.bitwise_right_shift_(shift[:, :, None] + exponent[:, None])
    return _with_full_diagonal(scaled.to(torch.int16))


def float_similarity(
    tokens: Float[Tensor, "windows members channels"],
) -> Int[Tensor, "windows members members"]:
    """Return the cosines of tokens that are not quantized, in the same fixed point, rounded down.

    Floating sums depend on their order: unlike `fixed_similarity`, not the same to the last bit on
    every device and batch.
    """
    units = torch.nn.functional.normalize(tokens.float(), dim=-1)
    cosines = torch.bmm(units, units.mT).mul_(2**_FRACTION_BITS).clamp_(0, FULL)
    return _with_full_diagonal(cosines.to(torch.int16))


def reciprocal_roots(
    norms: Int[Tensor, "*rows"],
) -> tuple[Int[Tensor, "*rows"], Int[Tensor, "*rows"]]:
    """Return one over the root of squared norms as 16-bit mantissa and exponent; see golden."""
    safe = norms.clamp(min=1)
    exponent = (torch.frexp(safe.double()).exponent.long() - 1) // 2
    quotient = (torch.ones_like(safe) << (2 * _MANTISSA_BITS + 2 * exponent)) // safe
    root = quotient.double().sqrt().floor().long()  # exact: the quotient is at most 2^32
    return root.clamp(max=2**_MANTISSA_BITS - 1) * (norms > 0), exponent


def _exact_products(
    tokens: Float[Tensor, "windows members channels"],
) -> Int[Tensor, "windows members members"]:
    """Return all dot products as int64, by float32 matrix products short enough to be exact."""
    first, *others = (torch.bmm(part, part.mT) for part in tokens.split(_EXACT_CHANNELS, dim=-1))
    total = first.long()
    for dots in others:
        total.add_(dots.long())
    return total


def _with_full_diagonal(similarities: Tensor) -> Tensor:
    similarities.diagonal(dim1=1, dim2=2).fill_(FULL)
    return similarities
