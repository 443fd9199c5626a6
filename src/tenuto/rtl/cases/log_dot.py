"""Dot products of random numbers, the extremes among them."""

import numpy as np
from numpy.typing import NDArray

from tenuto import hardware_timing
from tenuto.golden.leading_one import dot
from tenuto.rtl.ladder import Case
from tenuto.rtl.log_dot import LogDot
from tenuto.rtl.packing import pack


def case_from(
    size: hardware_timing.LogDot, left: NDArray[np.int64], right: NDArray[np.int64]
) -> Case:
    """Return the case of (dots, length) operands; length is a multiple of the lanes.

    A vector is a beat of all lanes.
    """
    num_dots, length = left.shape
    beats = size.beats(length)
    is_last = np.tile(np.arange(beats) == beats - 1, num_dots)
    x, w = (operand.reshape(-1, size.lanes) for operand in (left, right))
    return Case(
        unit=lambda: LogDot(size),
        inputs=pack([(x, size.bits), (w, size.bits), (is_last, 1)]),
        outputs=pack(_split(dot(left, right), size.result_bits)),
        vectors=len(x),
        cycles=size.cycles(num_dots, length),
    )


def _split(values: NDArray[np.int64], bits: int) -> list[tuple[NDArray[np.int64], int]]:
    """Cut values into fields of at most 32 bits, the lowest first."""
    if bits <= 32:
        return [(values, bits)]
    return [(values & 0xFFFFFFFF, 32), (values >> 32, bits - 32)]


def operands(random: np.random.Generator, shape: tuple[int, int], bits: int) -> NDArray[np.int64]:
    """Return random operands; every fifth is 0, a power of two or an end of the range."""
    most = 2 ** (bits - 1)
    values = random.integers(-most, most, shape)
    special = np.array([0, 1, -1, most // 2, -most // 2, most - 1, -most])
    return np.where(random.random(shape) < 0.2, random.choice(special, shape), values)


def small(random: np.random.Generator) -> Case:
    """Return 12 dot products of three beats, 4 lanes of 8 bits."""
    size = hardware_timing.LogDot(lanes=4, bits=8, max_length=12)
    return case_from(size, operands(random, (12, 12), 8), operands(random, (12, 12), 8))


def large(random: np.random.Generator) -> Case:
    """Return a million beats of 16 lanes of 12 bits, in dot products of four."""
    size = hardware_timing.LogDot(lanes=16, bits=12, max_length=64)
    shape = (250_000, 64)
    return case_from(size, operands(random, shape, 12), operands(random, shape, 12))
