"""Windows of random tokens, repeated ones and opposite ones among them."""

import numpy as np

from tenuto.datm_timing import WindowMatch as Size
from tenuto.golden.datm import assign, select_destinations, similarity
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack
from tenuto.rtl.window_match import WindowMatch


def case_from(size: Size, random: np.random.Generator, num_windows: int) -> Case:
    """Return windows of tokens with 6 channels; a third of the tokens repeat another one."""
    columns, matches = [], []
    for _ in range(num_windows):
        tokens = random.integers(-127, 128, (size.tokens, 6)).astype(np.int8)
        repeats = random.random(size.tokens) < 0.3
        tokens[repeats] = tokens[random.integers(0, size.tokens, int(repeats.sum()))]
        matrix = similarity(tokens)
        (chosen,) = select_destinations([matrix], size.destinations)
        nearest, likeness = assign(matrix, chosen)
        columns.append(matrix)
        matches.append((np.isin(np.arange(size.tokens), chosen), nearest, likeness))
    widths = (1, (size.tokens - 1).bit_length(), size.bits)
    fields = [np.concatenate(field) for field in zip(*matches, strict=True)]
    return Case(
        unit=lambda: WindowMatch(size),
        inputs=pack([(np.concatenate(columns), size.bits)]),
        outputs=pack(list(zip(fields, widths, strict=True))),
        cycles=size.cycles(num_windows),
    )


def small(random: np.random.Generator) -> Case:
    """Return 3 windows of 8 tokens with 3 destinations each."""
    return case_from(Size(tokens=8, destinations=3), random, 3)


def large(random: np.random.Generator) -> Case:
    """Return 2,000 windows of 32 tokens with 8 destinations each: half a million gains."""
    return case_from(Size(tokens=32, destinations=8), random, 2_000)
