"""Columns of some tokens of each window, many similarities equal."""

import numpy as np

from tenuto.datm_timing import WindowAssign as Size
from tenuto.golden.datm import assign
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack
from tenuto.rtl.window_assign import WindowAssign


def case_from(size: Size, random: np.random.Generator, num_windows: int) -> Case:
    """Return windows with any number of destinations; a vector is a similarity."""
    columns, matches, counts = [], [], []
    for _ in range(num_windows):
        matrix = random.integers(0, 2**size.bits, (size.tokens, size.tokens)).astype(np.int32)
        matrix[random.random(matrix.shape) < 0.5] = matrix[0, 0]
        count = int(random.integers(1, size.tokens + 1))
        chosen = np.sort(random.permutation(size.tokens)[:count])
        nearest, likeness = assign(matrix, chosen)
        columns.append((matrix[:, chosen].T, chosen, chosen == chosen[-1]))
        matches.append((np.isin(np.arange(size.tokens), chosen), nearest, likeness))
        counts.append(count)
    position_bits = (size.tokens - 1).bit_length()

    def packed(rows: list, widths: tuple[int, ...]) -> np.ndarray:
        fields = [np.concatenate(field) for field in zip(*rows, strict=True)]
        return pack(list(zip(fields, widths, strict=True)))

    return Case(
        unit=lambda: WindowAssign(size),
        inputs=packed(columns, (size.bits, position_bits, 1)),
        outputs=packed(matches, (1, position_bits, size.bits)),
        vectors=sum(counts) * size.tokens,
        cycles=size.cycles(counts),
    )


def small(random: np.random.Generator) -> Case:
    """Return 4 windows of 7 tokens."""
    return case_from(Size(tokens=7, bits=5), random, 4)


def large(random: np.random.Generator) -> Case:
    """Return 2,000 windows of 32 tokens: a million similarities."""
    return case_from(Size(tokens=32), random, 2_000)
