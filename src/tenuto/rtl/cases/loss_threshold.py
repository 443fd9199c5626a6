"""Frames of losses, many of them in one bin, with quotas from none to every candidate."""

from collections.abc import Sequence

import numpy as np

from tenuto.datm_timing import LossThreshold as Size
from tenuto.golden.datm import FRACTION_BITS, loss_codes, threshold
from tenuto.rtl.ladder import Case
from tenuto.rtl.loss_threshold import LossThreshold
from tenuto.rtl.packing import pack


def case_from(size: Size, random: np.random.Generator, num_tokens: Sequence[int]) -> Case:
    """Return a frame of each number of tokens."""
    inputs, outputs = [], []
    for frame, tokens in enumerate(num_tokens):
        loss = random.integers(0, 2 ** random.integers(1, FRACTION_BITS + 1, tokens))
        loss[random.random(tokens) < 0.3] = loss[0]
        is_candidate = random.random(tokens) < 0.7
        num_candidates = int(is_candidate.sum())
        quota = (0, num_candidates, num_candidates // 2)[frame % 3]
        is_last = np.arange(tokens) == tokens - 1
        inputs.append((is_candidate, loss, is_last, np.full(tokens, quota)))
        outputs.append((_reduced(loss, is_candidate, quota), is_last))
    columns = [np.concatenate(column) for column in zip(*inputs, strict=True)]
    widths = (1, FRACTION_BITS, 1, size.max_tokens.bit_length())
    marks = [np.concatenate(column) for column in zip(*outputs, strict=True)]
    return Case(
        unit=lambda: LossThreshold(size),
        inputs=pack(list(zip(columns, widths, strict=True))),
        outputs=pack([(mark, 1) for mark in marks]),
        cycles=size.cycles(num_tokens),
    )


def _reduced(loss: np.ndarray, is_candidate: np.ndarray, quota: int) -> np.ndarray:
    candidates = np.flatnonzero(is_candidate)
    codes = loss_codes(loss[candidates])
    boundary, rest = threshold(codes, quota)
    reduced = np.zeros(len(loss), bool)
    reduced[candidates[codes < boundary]] = True
    reduced[candidates[codes == boundary][:rest]] = True
    return reduced


def small(random: np.random.Generator) -> Case:
    """Return frames of 1, 40, 40 and 17 tokens."""
    return case_from(Size(max_tokens=40), random, (1, 40, 40, 17))


def large(random: np.random.Generator) -> Case:
    """Return 64 frames of 16,384 tokens: a million losses."""
    return case_from(Size(max_tokens=16_384), random, (16_384,) * 64)
