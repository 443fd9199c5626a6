"""Frames of losses, many of them in one bin, with quotas from none to every candidate."""

from collections.abc import Sequence

import numpy as np

from tenuto.datm_timing import PairWriter as Size
from tenuto.golden.datm import loss_codes
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import Words, pack
from tenuto.rtl.pair_writer import PairWriter


def case_from(size: Size, random: np.random.Generator, num_tokens: Sequence[int]) -> Case:
    """Return a frame of each number of tokens; a vector is a token's loss."""
    inputs, outputs, frames = [], [], []
    for frame, tokens in enumerate(num_tokens):
        loss = random.integers(0, 2 ** random.integers(1, size.bits + 1, tokens))
        loss[random.random(tokens) < 0.3] = loss[0]
        is_candidate = random.random(tokens) < 0.7
        partner = random.integers(0, tokens, tokens)
        num_candidates = int(is_candidate.sum())
        quota = (0, num_candidates, num_candidates // 2)[frame % 3]
        is_last = np.arange(tokens) == tokens - 1
        order = np.argsort(loss_codes(loss[is_candidate]), kind="stable")
        src = np.flatnonzero(is_candidate)[order[:quota]]
        inputs.append((is_candidate, loss, partner, is_last, np.full(tokens, quota)))
        outputs.append(lists(size, tokens, src, partner[src]))
        frames.append((tokens, quota))
    columns = [np.concatenate(column) for column in zip(*inputs, strict=True)]
    widths = (1, size.bits, (size.max_tokens - 1).bit_length(), 1, size.max_tokens.bit_length())
    return Case(
        unit=lambda: PairWriter(size),
        inputs=pack(list(zip(columns, widths, strict=True))),
        outputs=np.concatenate(outputs),
        vectors=sum(num_tokens),
        cycles=size.cycles(frames),
    )


def lists(size: Size, num_tokens: int, src: np.ndarray, dst: np.ndarray) -> Words:
    """Return a plan in the layout of `PairWriter.o`: kept tokens, then pairs."""
    is_kept = np.ones(num_tokens, bool)
    is_kept[src] = False
    keep = np.flatnonzero(is_kept)
    index_bits = (size.max_tokens - 1).bit_length()
    return pack(
        [
            (np.arange(num_tokens) >= len(keep), 1),
            (np.concatenate([keep, src]), index_bits),
            (np.concatenate([np.zeros_like(keep), dst]), index_bits),
            (np.arange(num_tokens) == num_tokens - 1, 1),
        ]
    )


def small(random: np.random.Generator) -> Case:
    """Return frames of 1, 40, 40 and 17 tokens."""
    return case_from(Size(max_tokens=40), random, (1, 40, 40, 17))


def large(random: np.random.Generator) -> Case:
    """Return 64 frames of 16,384 tokens: a million losses."""
    return case_from(Size(max_tokens=16_384), random, (16_384,) * 64)
