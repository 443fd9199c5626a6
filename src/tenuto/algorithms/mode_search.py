"""Choose which steps are dense, partial or predicted, for every budget at once.

`schedule_search` answers the same question for one budget and two kinds of steps; here a step that
is not dense may compute a part of its tokens, at its own price.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from tenuto.algorithms.schedule_search import Cost

DENSE_UNITS = 32
"""Price of a dense step; other prices are whole numbers on this scale."""

_END: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What can be done at a step that is not dense.

    Attributes:
        ratio: Share of the tokens not computed, in (0, 1]; 1 forecasts the whole step.
        units: Price, in [1, `DENSE_UNITS`].
        error: Error over that of forecasting the whole step, at least 0.
    """

    ratio: float
    units: int
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSchedule:
    """One schedule.

    Attributes:
        units: Price of all its steps.
        error: Sum over the steps.
        ratios: Of each step; 0 is dense.
    """

    units: int
    error: float
    ratios: tuple[float, ...]


@dataclass(slots=True, eq=False)
class _Reached:
    """Ways to a state: for each price, the least error and the last stretch of the best way."""

    error: np.ndarray
    stretch: np.ndarray
    stretches: list[tuple[tuple[int, ...], tuple[float, ...], int]] = field(default_factory=list)


def best_schedules(
    num_steps: int, modes: Sequence[Mode], cost: Cost, *, taps: int, max_gap: int, warmup: int
) -> list[ModeSchedule]:
    """Return the schedules that no other beats in both price and error.

    Dynamic programming over the last `taps` dense steps and the price: exact for additive errors.
    Partial steps are no sources of forecasts.

    Args:
        num_steps: Steps of the run.
        modes: What can be done at steps that are not dense; of equal ways the first stays.
        cost: Error of forecasting a whole step from the dense steps before it.
        taps: Dense steps that a forecast uses.
        max_gap: Most steps from one dense step to the next, >= 1.
        warmup: First steps that are dense anyway, in [1, num_steps].

    Returns:
        In order of rising price; the last is dense throughout.

    Source: ours.

    >>> whole = Mode(ratio=1.0, units=2, error=1.0)
    >>> found = best_schedules(4, [whole], lambda step, known: 1.0, taps=1, max_gap=2, warmup=1)
    >>> [schedule.ratios for schedule in found]
    [(0.0, 1.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0)]
    """
    size = (num_steps + 1) * DENSE_UNITS + 1
    start = tuple(range(warmup - 1, max(-1, warmup - 1 - taps), -1))
    reached = {start: _empty(size)}
    reached[start].error[warmup * DENSE_UNITS] = 0.0
    for last in range(warmup - 1, num_steps):
        for known in [known for known in reached if known and known[0] == last]:
            for ahead in range(last + 1, min(last + max_gap, num_steps) + 1):
                costs = [cost(step, known) for step in range(last + 1, ahead)]
                state = (ahead, *known)[:taps] if ahead < num_steps else _END
                _extend(reached.setdefault(state, _empty(size)), reached[known], known, modes,
                        costs)  # fmt: skip
    return list(_undominated(reached, warmup))


def _empty(size: int) -> _Reached:
    return _Reached(np.full(size, np.inf), np.full(size, -1, dtype=np.int64))


def _extend(
    target: _Reached,
    source: _Reached,
    known: tuple[int, ...],
    modes: Sequence[Mode],
    costs: Sequence[float],
) -> None:
    """Add every way over some steps that are not dense, and a dense step unless the run ends."""
    for between in product(modes, repeat=len(costs)):
        error = sum(mode.error * cost for mode, cost in zip(between, costs, strict=True))
        units = sum(mode.units for mode in between) + DENSE_UNITS
        found = source.error[: len(source.error) - units] + error
        is_better = found < target.error[units:]
        if is_better.any():
            target.error[units:][is_better] = found[is_better]
            target.stretch[units:][is_better] = len(target.stretches)
            target.stretches.append((known, tuple(mode.ratio for mode in between), units))


def _undominated(reached: dict[tuple[int, ...], _Reached], warmup: int) -> Iterator[ModeSchedule]:
    """Follow the best ways back; drop schedules that cost more without a smaller error."""
    end = reached[_END]
    found: list[tuple[int, float]] = []
    for price in np.flatnonzero(np.isfinite(end.error)):
        if not found or end.error[price] < found[-1][1]:
            found.append((int(price), float(end.error[price])))
    for price, error in found:
        # The end was reached as if by one more dense step.
        units = price - DENSE_UNITS
        yield ModeSchedule(units=units, error=error, ratios=_way(reached, price, warmup))


def _way(reached: dict[tuple[int, ...], _Reached], price: int, warmup: int) -> tuple[float, ...]:
    """Return the ratios of all steps on the best way to the end at a price."""
    state, ratios = _END, ()
    while reached[state].stretch[price] >= 0:
        known, between, units = reached[state].stretches[reached[state].stretch[price]]
        ratios = (*between, *((0.0,) if state else ()), *ratios)
        state, price = known, price - units
    return (0.0,) * warmup + ratios
