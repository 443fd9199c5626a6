"""When tokens are matched, on what, and what is kept of it."""

from math import prod
from time import perf_counter

from torch import Tensor

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.matching import (
    FrequencyPenalty,
    check_reducible,
    match_tokens,
    matching_macs,
    num_reduced_of,
)
from tenuto.algorithms.partners import check_partners, partners_macs, with_partners
from tenuto.algorithms.reduction import Reduction
from tenuto.integration.call import Call
from tenuto.integration.counters import Counters
from tenuto.integration.families import Grid
from tenuto.integration.memory import Key, Pairs
from tenuto.integration.observer import Matching

_HORIZON_STEPS = 64
"""No schedule reduces this many steps in a row without a dense one between."""


def window_of(reduction: Reduction, grid: Grid) -> tuple[int, ...]:
    """Return the matching window for a grid: unless given, 2 along each axis that has 2."""
    return reduction.window or tuple(min(2, axis) for axis in grid)


def check_grid(reduction: Reduction, grid: Grid) -> None:
    """Raise ValueError where tokens of this grid cannot be matched as the setting wants."""
    for ratio in reduction.schedule.ratios():
        if 0 < ratio < 1 and reduction.matcher is not None:
            reduction.matcher.check(grid, ratio)
        elif 0 < ratio < 1:
            num_reduced = check_reducible(prod(grid), grid, window_of(reduction, grid), ratio)
            check_partners(prod(grid) - num_reduced, reduction.partners)


def is_matched(call: Call, reduction: Reduction, key: Key) -> bool:
    """Return whether there are pairs that still serve in this call, where inputs are matched on."""
    pairs, every = call.memory.pairs.get(key), reduction.reuse_steps
    return pairs is not None and pairs.step_index // every == call.moment.step_index // every


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
        reduction: Window, drift, penalty, choice of destinations, or a matcher.
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
    approximated, steps, penalty = None, 0, None
    if reduction.frequency_penalty and pairs is not None:
        approximated, steps = pairs.approximated()
        penalty = FrequencyPenalty(approximated / max(1, steps), reduction.frequency_penalty)
    plan = _plan(call, reduction, key, features, ratio, penalty)
    pairs = Pairs(plan, approximated, steps, call.moment.step_index)
    pairs.num_reduced = call.shards.least(pairs.num_reduced, features.device)
    memory.pairs[key] = pairs
    seconds = perf_counter() - start
    grid = call.grid_of(key[0])
    macs = features.shape[0] * _macs(reduction, grid, ratio, features.shape[-1])
    counters.matching(macs, seconds)
    counters.observer.matched(Matching(key, features, plan, reduction.matcher, grid, ratio, macs))


def _plan(
    call: Call,
    reduction: Reduction,
    key: Key,
    features: Tensor,
    ratio: float,
    penalty: FrequencyPenalty | None,
) -> MatchPlan:
    grid = call.grid_of(key[0])
    if reduction.matcher is not None:
        draw = call.moment.step_index * len(call.row) + key[0]
        return reduction.matcher.match(features, grid, ratio, draw)
    window = window_of(reduction, grid)
    plan = match_tokens(features, grid, window, ratio, densest=reduction.densest, penalty=penalty)
    return plan if reduction.partners == 1 else with_partners(features, plan, reduction.partners)


def _macs(reduction: Reduction, grid: Grid, ratio: float, channels: int) -> int:
    """Multiply-accumulates of matching one sample."""
    if reduction.matcher is not None:
        return reduction.matcher.macs(grid, ratio, channels)
    num_windows = prod(g // w for g, w in zip(grid, window_of(reduction, grid), strict=True))
    macs = matching_macs(prod(grid), num_windows, channels, densest=reduction.densest)
    if reduction.partners > 1:
        macs += partners_macs(prod(grid), num_reduced_of(prod(grid), ratio), channels)
    return macs
