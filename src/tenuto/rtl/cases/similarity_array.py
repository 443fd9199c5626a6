"""Windows of random tokens of every size, all-zero and extreme ones among them."""

import numpy as np

from tenuto.datm_timing import SimilarityArray as Size
from tenuto.golden.datm import FRACTION_BITS, similarity
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack
from tenuto.rtl.similarity_array import SimilarityArray


def case_from(size: Size, random: np.random.Generator, num_windows: int) -> Case:
    """Return windows whose tokens have magnitudes from 0 to 127."""
    channels, columns = [], []
    for _ in range(num_windows):
        tokens = random_tokens(random, size.tokens, size.channels)
        channels.append(tokens.T)
        columns.append(similarity(tokens))
    return Case(
        unit=lambda: SimilarityArray(size),
        inputs=pack([(np.concatenate(channels), 8)]),
        outputs=pack([(np.concatenate(columns), FRACTION_BITS)]),
        cycles=size.cycles(num_windows),
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
    """Return 2 windows of 5 tokens with 3 channels."""
    return case_from(Size(tokens=5, channels=3), random, 2)


def large(random: np.random.Generator) -> Case:
    """Return 1,000 windows of 32 tokens with 48 channels: a million similarities."""
    return case_from(Size(tokens=32, channels=48), random, 1_000)
