"""Rows of floats of every magnitude: ties of the rounding, zeros, subnormal and huge values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tenuto.datm_timing import Quantize as Size
from tenuto.golden.quantize import quantize_rows
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack
from tenuto.rtl.quantize import Quantize


def case_from(size: Size, rows: Sequence[NDArray[np.float32]]) -> Case:
    """Return the case of rows of any lengths; a vector is a value."""
    is_last = np.concatenate([np.arange(len(row)) == len(row) - 1 for row in rows])
    quantized = np.concatenate([quantize_rows(row[None], size.bits)[0] for row in rows])
    bits = np.concatenate(rows).view(np.uint32).astype(np.int64)
    return Case(
        unit=lambda: Quantize(size),
        inputs=pack([(bits, 32), (is_last, 1)]),
        outputs=pack([(quantized, size.bits), (is_last, 1)]),
        vectors=len(bits),
        cycles=size.cycles([len(row) for row in rows]),
    )


def random_row(random: np.random.Generator, channels: int) -> NDArray[np.float32]:
    """Return values of one of four kinds; ties of the rounding are one."""
    kind = random.integers(0, 4)
    scale = np.float32(2.0 ** random.integers(-130, 120))
    row = (random.standard_normal(channels) * scale).astype(np.float32)
    if kind == 0:
        row = (random.integers(-254, 255, channels) * (scale / 2)).astype(np.float32)
        row[0] = 127 * scale
    if kind == 1:
        row *= (random.random(channels) < 0.3).astype(np.float32)
    if kind == 2:
        row = (row * 2.0 ** random.uniform(-30, 0, channels)).astype(np.float32)
    if kind == 3:  # the scale's quotient begins a place lower
        row = (random.uniform(-1, 1, channels) * 1.995 * scale).astype(np.float32)
        row[0] = 1.995 * scale
    return row


def small(random: np.random.Generator) -> Case:
    """Return 8 rows of up to 12 values."""
    size = Size(max_channels=12)
    return case_from(size, [random_row(random, int(n)) for n in random.integers(1, 13, 8)])


def large(random: np.random.Generator) -> Case:
    """Return 16,384 rows of 64 values: a million of them."""
    return case_from(Size(max_channels=64), [random_row(random, 64) for _ in range(16_384)])
