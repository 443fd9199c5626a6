"""Symmetric quantization of token rows, equal to `tenuto.golden.quantize` to the bit."""

from typing import Literal

import torch
from torch import Tensor

from tenuto.algorithms.shapes import Float

Bits = Literal[4, 8]

_SMALLEST_PEAK = 2.0**-100  # as in the golden function


def quantize_rows(
    rows: Float[Tensor, "*rows channels"], bits: Bits
) -> Float[Tensor, "*rows channels"]:
    """Scale each row so that its largest magnitude becomes 127 or 7, and round to nearest even.

    Args:
        rows: Finite values; other dtypes than float32 are rounded to it.
        bits: 8 or 4.

    Returns:
        A new float32 tensor of integers, ready for exact matrix products.

    Source: ours, see `tenuto.golden.quantize`.

    >>> quantize_rows(torch.tensor([[0.5, -1.0, 0.1]]), 4).tolist()
    [[4.0, -7.0, 1.0]]
    """
    values = rows.float()
    least, largest = values.aminmax(dim=-1, keepdim=True)
    peak = largest.maximum(-least)
    # A number divided by a tensor is a product with its reciprocal in torch: rounded twice.
    levels = torch.full_like(peak, 2 ** (bits - 1) - 1)
    inverse = levels / peak.clamp(min=_SMALLEST_PEAK)
    return (values * inverse.masked_fill_(peak < _SMALLEST_PEAK, 0.0)).round_()
