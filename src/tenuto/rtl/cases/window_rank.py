"""Windows of random tokens, repeated ones and opposite ones among them."""

import numpy as np

from tenuto.datm_timing import WindowRank as Size
from tenuto.golden.datm import gains, select_destinations, similarity
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack
from tenuto.rtl.window_rank import WindowRank


def case_from(size: Size, random: np.random.Generator, num_windows: int) -> Case:
    """Return windows of tokens with 6 channels; a third of the tokens repeat another one.

    A vector is the gain of a token in one of the window's choices.
    """
    columns, steps = [], []
    for _ in range(num_windows):
        tokens = random.integers(-127, 128, (size.tokens, 6)).astype(np.int8)
        repeats = random.random(size.tokens) < 0.3
        tokens[repeats] = tokens[random.integers(0, size.tokens, int(repeats.sum()))]
        matrix = similarity(tokens)
        columns.append(matrix)
        steps.append(ranked(matrix))
    widths = (size.gain_bits, (size.tokens - 1).bit_length())
    fields = [np.concatenate(field) for field in zip(*steps, strict=True)]
    return Case(
        unit=lambda: WindowRank(size),
        inputs=pack([(np.concatenate(columns), size.bits)]),
        outputs=pack(list(zip(fields, widths, strict=True))),
        vectors=num_windows * size.tokens**2,
        cycles=size.cycles(num_windows),
    )


def ranked(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gains and positions of a window's tokens in the order of choice."""
    (order,) = select_destinations([matrix], len(matrix))
    covered = np.zeros(len(matrix), np.int32)
    taken = []
    for position in order:
        taken.append(int(gains(matrix, covered)[position]))
        covered = np.maximum(covered, matrix[:, position])
    return np.array(taken), order


def small(random: np.random.Generator) -> Case:
    """Return 3 windows of 6 tokens."""
    return case_from(Size(tokens=6), random, 3)


def large(random: np.random.Generator) -> Case:
    """Return 1,000 windows of 32 tokens: a million gains."""
    return case_from(Size(tokens=32), random, 1_000)
