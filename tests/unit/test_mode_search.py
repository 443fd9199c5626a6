"""Which steps are dense, partial or predicted, against every way there is."""

from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.algorithms.forecast_fit import sources_of
from tenuto.algorithms.mode_search import DENSE_UNITS, Mode, best_schedules
from tenuto.algorithms.schedule_search import best_dense_steps

MODES = (Mode(ratio=1.0, units=1, error=1.0), Mode(ratio=0.5, units=19, error=0.25))


def cost_of(weights):
    """Errors that grow with the distance to the known steps, differently at each step."""
    return lambda step, known: weights[step] * (step - known[0]) ** 2 + 0.1 * (step - known[-1])


def slow_front(num_steps, modes, cost, taps, max_gap, warmup):
    """Least error of each price, from all schedules one by one."""
    by_ratio = {mode.ratio: mode for mode in modes}
    best: dict[int, float] = {}
    for rest in product((0.0, *by_ratio), repeat=num_steps - warmup):
        ratios = (0.0,) * warmup + rest
        is_dense = [ratio == 0 for ratio in ratios]
        dense = [step for step in range(num_steps) if is_dense[step]] + [num_steps]
        if max(b - a for a, b in pairwise(dense)) > max_gap:
            continue
        error = sum(
            by_ratio[ratio].error * cost(step, tuple(sources_of(is_dense, step, taps)))
            for step, ratio in enumerate(ratios)
            if ratio
        )
        units = sum(by_ratio[r].units if r else DENSE_UNITS for r in ratios)
        best[units] = min(error, best.get(units, float("inf")))
    front: list[tuple[int, float]] = []
    for units in sorted(best):
        if not front or best[units] < front[-1][1] - 1e-12:
            front.append((units, best[units]))
    return front


@settings(max_examples=25, deadline=None)
@given(
    weights=st.lists(st.integers(1, 50), min_size=7, max_size=7),
    taps=st.integers(1, 3),
    max_gap=st.integers(1, 4),
    warmup=st.integers(1, 3),
)
def test_no_schedule_is_better_than_those_found(weights, taps, max_gap, warmup):
    cost = cost_of(weights)

    found = best_schedules(7, MODES, cost, taps=taps, max_gap=max_gap, warmup=warmup)

    wanted = slow_front(7, MODES, cost, taps, max_gap, warmup)
    assert [schedule.units for schedule in found] == [units for units, _ in wanted]
    assert [s.error for s in found] == pytest.approx([error for _, error in wanted])


def test_the_ratios_say_what_the_price_and_error_are_for():
    cost = cost_of([3, 1, 4, 1, 5, 9, 2, 6, 5, 3])
    by_ratio = {0.0: DENSE_UNITS, **{mode.ratio: mode.units for mode in MODES}}

    found = best_schedules(10, MODES, cost, taps=2, max_gap=4, warmup=2)

    assert any(0.5 in schedule.ratios for schedule in found)
    for schedule in found:
        assert len(schedule.ratios) == 10
        assert schedule.units == sum(by_ratio[ratio] for ratio in schedule.ratios)
    assert found[-1].ratios == (0.0,) * 10


def test_predicted_steps_alone_give_the_schedules_of_a_single_budget():
    cost = cost_of([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])

    found = best_schedules(12, MODES[:1], cost, taps=3, max_gap=4, warmup=3)

    for schedule in found:
        num_dense = schedule.ratios.count(0.0)
        one = best_dense_steps(12, num_dense, cost, taps=3, max_gap=4, warmup=3)
        assert schedule.ratios == tuple(0.0 if dense else 1.0 for dense in one)
