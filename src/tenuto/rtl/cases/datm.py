"""Frames of windows of similar tokens, and the plans that the golden function makes of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tenuto.datm_engine_timing import Datm as Size
from tenuto.datm_timing import SimilarityArray
from tenuto.golden.datm import match, select_destinations, similarity
from tenuto.rtl.cases.pair_writer import lists
from tenuto.rtl.cases.similarity_array import random_tokens
from tenuto.rtl.datm import Datm
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack


def case_from(size: Size, frames: Sequence[NDArray[np.int8]]) -> Case:
    """Return frames of (tokens, channels) each, whose windows are consecutive tokens.

    A vector is a channel of a token, in either pass.
    """
    width = size.array.tokens
    channels, outputs, destinations = [], [], []
    for tokens in frames:
        windows = tokens.reshape(size.num_windows, width, -1)
        channels += [window.T for window in (*windows, *windows)]
        plan = match(
            tokens, (size.num_reduced + 0.5) / size.num_tokens,
            window=width, num_destinations=size.num_destinations,
        )  # fmt: skip
        outputs.append(lists(size.writer, size.num_tokens, plan.src, plan.dst))
        chosen = select_destinations([similarity(w) for w in windows], size.num_destinations)
        destinations.append([len(positions) for positions in chosen])
    return Case(
        unit=lambda: Datm(size),
        inputs=pack([(np.concatenate(channels), 8)]),
        outputs=np.concatenate(outputs),
        vectors=len(channels) * channels[0].size,
        cycles=size.cycles(destinations),
    )


def random_frame(size: Size, random: np.random.Generator) -> NDArray[np.int8]:
    """Return windows of which some need many destinations and some few."""
    shape = size.array.tokens, size.array.channels
    windows = [random_tokens(random, *shape) for _ in range(size.num_windows)]
    for window in windows[::2]:
        window[1:][random.random(len(window) - 1) < 0.7] = window[0]
    return np.concatenate(windows)


def small(random: np.random.Generator) -> Case:
    """Return 2 frames of 3 windows of 4 tokens with 2 channels."""
    array = SimilarityArray(tokens=4, channels=2, columns=2)
    size = Size(array=array, num_windows=3, num_destinations=6, num_reduced=4, digit_bits=4)
    return case_from(size, [random_frame(size, random) for _ in range(2)])


def large(random: np.random.Generator) -> Case:
    """Return 32 frames of 64 windows of 8 tokens with 32 channels: a million values, read twice."""
    array = SimilarityArray(tokens=8, channels=32, columns=2)
    size = Size(array=array, num_windows=64, num_destinations=128, num_reduced=256)
    return case_from(size, [random_frame(size, random) for _ in range(32)])
