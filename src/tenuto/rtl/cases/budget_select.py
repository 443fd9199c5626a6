"""Frames of falling gains, most of them tied, with budgets from a token a window to all."""

import numpy as np

from tenuto.datm_timing import BudgetSelect as Size
from tenuto.datm_timing import WindowRank
from tenuto.rtl.budget_select import BudgetSelect
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack


def case_from(size: Size, random: np.random.Generator, num_frames: int) -> Case:
    """Return frames whose gains have few different values; a vector is a gain."""
    windows, tokens = size.num_windows, size.rank.tokens
    shape = num_frames, windows, tokens
    values = random.integers(0, 2**size.rank.gain_bits, (num_frames, 1, 3 * tokens))
    choice = random.integers(0, values.shape[2], shape)
    gains = -np.sort(
        -np.take_along_axis(np.broadcast_to(values, (*shape[:2], 3 * tokens)), choice, 2)
    )
    positions = random.permuted(np.broadcast_to(np.arange(tokens), shape), axis=2)
    bitmaps = np.concatenate(
        [_chosen(size, *frame) for frame in zip(gains, positions, strict=True)]
    )
    widths = (size.rank.gain_bits, (tokens - 1).bit_length())
    fields = (gains.reshape(-1), positions.reshape(-1))
    return Case(
        unit=lambda: BudgetSelect(size),
        inputs=pack(list(zip(fields, widths, strict=True))),
        outputs=pack([(bitmaps, 1)]),
        vectors=gains.size,
        cycles=size.cycles(num_frames),
    )


def _chosen(size: Size, gains: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Let windows compete as `golden.datm.select_destinations` does, for given gains."""
    heads = np.ones(size.num_windows, int)
    for _ in range(size.num_destinations - size.num_windows):
        best = [g[h] if h < len(g) else -1 for g, h in zip(gains, heads, strict=True)]
        heads[int(np.argmax(best))] += 1
    bitmaps = np.zeros(gains.shape, bool)
    for bitmap, order, head in zip(bitmaps, positions, heads, strict=True):
        bitmap[order[:head]] = True
    return bitmaps


def small(random: np.random.Generator) -> Case:
    """Return 3 frames of 3 windows of 4 tokens."""
    rank = WindowRank(tokens=4, bits=4)
    destinations = int(random.integers(3, 13))
    size = Size(rank=rank, num_windows=3, num_destinations=destinations, digit_bits=3)
    return case_from(size, random, 3)


def large(random: np.random.Generator) -> Case:
    """Return 1,000 frames of 32 windows of 32 tokens: a million gains."""
    size = Size(rank=WindowRank(tokens=32), num_windows=32, num_destinations=256)
    return case_from(size, random, 1_000)
