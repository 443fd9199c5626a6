"""Frames of windows of similar tokens, and the plans that the golden stages make of them."""

import numpy as np

from tenuto.datm_timing import Datm as Size
from tenuto.datm_timing import SimilarityArray
from tenuto.golden.datm import (
    FULL,
    assign,
    loss_codes,
    select_destinations,
    similarity,
    threshold,
)
from tenuto.rtl.cases.similarity_array import random_tokens
from tenuto.rtl.datm import Datm
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import Words, pack


def case_from(size: Size, random: np.random.Generator, num_frames: int) -> Case:
    """Return frames of random windows."""
    shape = size.array.tokens, size.array.channels
    frames = [
        [random_tokens(random, *shape) for _ in range(size.num_windows)] for _ in range(num_frames)
    ]
    channels = np.concatenate([tokens.T for frame in frames for tokens in frame])
    return Case(
        unit=lambda: Datm(size),
        inputs=pack([(channels, 8)]),
        outputs=np.concatenate([_plan(size, frame) for frame in frames]),
        cycles=size.cycles(num_frames),
    )


def _plan(size: Size, frame: list[np.ndarray]) -> Words:
    """Return the plan of a frame in the layout of `Datm.o`."""
    is_candidate, partner, loss = [], [], []
    for tokens in frame:
        matrix = similarity(tokens)
        (chosen,) = select_destinations([matrix], size.destinations)
        nearest, likeness = assign(matrix, chosen)
        is_candidate.append(~np.isin(np.arange(len(tokens)), chosen))
        partner.append(nearest)
        loss.append(FULL - likeness)
    candidates = np.flatnonzero(np.concatenate(is_candidate))
    codes = loss_codes(np.concatenate(loss)[candidates])
    boundary, rest = threshold(codes, size.num_reduced)
    is_reduced = np.zeros(size.num_tokens, bool)
    is_reduced[candidates[codes < boundary]] = True
    is_reduced[candidates[codes == boundary][:rest]] = True
    is_last = np.arange(size.num_tokens) == size.num_tokens - 1
    position_bits = (size.array.tokens - 1).bit_length()
    return pack([(is_reduced, 1), (is_last, 1), (np.concatenate(partner), position_bits)])


def small(random: np.random.Generator) -> Case:
    """Return 2 frames of 2 windows of 3 tokens with 2 channels."""
    array = SimilarityArray(tokens=3, channels=2)
    size = Size(array=array, num_windows=2, destinations=1, num_reduced=3)
    return case_from(size, random, 2)


def large(random: np.random.Generator) -> Case:
    """Return 16 frames of 32 windows of 32 tokens with 48 channels: a million cycles and more."""
    array = SimilarityArray(tokens=32, channels=48)
    size = Size(array=array, num_windows=32, destinations=8, num_reduced=512)
    return case_from(size, random, 16)
