"""Windows of random tokens of every size, all-zero and extreme ones among them."""

import numpy as np

from tenuto.datm_timing import SimilarityArray as Size
from tenuto.golden.datm import FRACTION_BITS, similarity
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack
from tenuto.rtl.similarity_array import SimilarityArray


def case_from(size: Size, random: np.random.Generator, num_windows: int) -> Case:
    """Return windows of tokens of magnitudes from 0 to 127; of every other one all are wanted.

    A vector is a similarity.
    """
    channels, bitmaps, columns = [], [], []
    for window in range(num_windows):
        tokens = random_tokens(random, size.tokens, size.channels)
        is_wanted = (random.random(size.tokens) < 0.4) | (window % 2 == 0)
        is_wanted[random.integers(0, size.tokens)] = True
        channels.append(tokens.T)
        bitmaps.append(is_wanted)
        positions = np.flatnonzero(is_wanted)
        columns.append((similarity(tokens)[positions], positions, positions == positions[-1]))
    widths = (FRACTION_BITS, (size.tokens - 1).bit_length(), 1)
    fields = [np.concatenate(field) for field in zip(*columns, strict=True)]
    return Case(
        unit=lambda: SimilarityArray(size),
        inputs=pack(
            [(np.concatenate(channels), 8), (np.repeat(bitmaps, size.channels, axis=0), 1)]
        ),
        outputs=pack(list(zip(fields, widths, strict=True))),
        vectors=fields[0].size,
        cycles=size.cycles([int(bitmap.sum()) for bitmap in bitmaps]),
    )


def random_tokens(random: np.random.Generator, num_tokens: int, channels: int) -> np.ndarray:
    """Return (tokens, channels) int8: similar, opposite, zero and extreme tokens."""
    centre = random.integers(-100, 101, channels)
    noise = random.integers(-27, 28, (num_tokens, channels))
    sign = random.choice([-1, 1, 1, 1], (num_tokens, 1))
    tokens = sign * (centre + noise) // random.integers(1, 40, (num_tokens, 1))
    special = random.random(num_tokens)
    tokens[special < 0.1] = 0
    tokens[special > 0.95] = -128
    return tokens.astype(np.int8)


def small(random: np.random.Generator) -> Case:
    """Return 3 windows of 5 tokens with 3 channels, 2 columns at a time."""
    return case_from(Size(tokens=5, channels=3, columns=2), random, 3)


def large(random: np.random.Generator) -> Case:
    """Return 22,000 windows of 8 tokens with 24 channels: a million wanted similarities."""
    return case_from(Size(tokens=8, channels=24, columns=4), random, 22_000)
