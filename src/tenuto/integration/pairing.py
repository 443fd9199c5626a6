"""When tokens are matched, on what, and what is kept of it."""

from math import prod
from time import perf_counter

from torch import Tensor

from tenuto.algorithms.matching import (
    FrequencyPenalty,
    match_tokens,
    matching_macs,
    window_members,
)
from tenuto.algorithms.reduction import Reduction
from tenuto.integration.call import Call
from tenuto.integration.counters import Counters
from tenuto.integration.families import Grid
from tenuto.integration.memory import Key, Pairs

_HORIZON_STEPS = 64
"""No schedule reduces this many steps in a row without a dense one between."""


def window_of(reduction: Reduction, grid: Grid) -> tuple[int, ...]:
    """Return the matching window for a grid."""
    return reduction.window or (2,) * len(grid)


def coming_ratios(reduction: Reduction, step_index: int, num_blocks: int) -> tuple[float, ...]:
    """Return each block's largest partial ratio until it is dense again; 0 where none comes.

    A technique that matches on its own inputs asks for this step instead.
    """
    if reduction.guide == "input":
        return reduction.schedule.row(step_index, num_blocks)
    largest, is_open = [0.0] * num_blocks, [True] * num_blocks
    for ahead in range(step_index + 1, step_index + 1 + _HORIZON_STEPS):
        for block, ratio in enumerate(reduction.schedule.row(ahead, num_blocks)):
            is_open[block] = is_open[block] and ratio > 0
            if is_open[block] and ratio < 1:
                largest[block] = max(largest[block], ratio)
        if not any(is_open):
            break
    return tuple(largest)


def find_pairs(
    call: Call,
    reduction: Reduction,
    counters: Counters,
    key: Key,
    features: Tensor,
    ratio: float,
) -> None:
    """Match the tokens of a block and keep the pairs in the branch's memory.

    Args:
        call: The present call; its memory takes the pairs.
        reduction: Window, drift, penalty, choice of destinations.
        counters: Take operations and seconds.
        key: Under which the pairs are kept.
        features: (batch, tokens, channels) of image tokens.
        ratio: Largest share that will be reduced; 0 matches nothing.
    """
    memory = call.memory
    previous = memory.guides.get(key)
    if reduction.drift:
        memory.guides[key] = features.detach()
    if ratio == 0:
        return
    if reduction.drift and previous is not None:
        features = features - previous
    start = perf_counter()
    pairs = memory.pairs.get(key)
    approximated, steps = (None, 0) if pairs is None else pairs.approximated()
    penalty = None
    if reduction.frequency_penalty and approximated is not None:
        penalty = FrequencyPenalty(approximated / max(1, steps), reduction.frequency_penalty)
    grid = call.grid_of(key[0])
    window = window_of(reduction, grid)
    plan = match_tokens(features, grid, window, ratio, densest=reduction.densest, penalty=penalty)
    memory.pairs[key] = Pairs(plan, approximated, steps)
    num_windows = window_members(grid, window).shape[0]
    macs = features.shape[0] * matching_macs(prod(grid), num_windows, features.shape[-1])
    counters.matching(macs, perf_counter() - start)
