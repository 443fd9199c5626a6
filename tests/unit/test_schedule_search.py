"""The search for dense steps against trying every schedule."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.schedule_search import best_dense_steps, least_dense_steps, num_dense_steps

TAPS, WARMUP = 2, 2


def total_cost(dense, num_steps, cost):
    """The sum that the search minimises, written down directly."""
    chosen, total = set(dense), 0.0
    for step in range(num_steps):
        if step not in chosen:
            known = tuple(sorted((d for d in chosen if d < step), reverse=True))[:TAPS]
            total += cost(step, known)
    return total


def gaps_fit(dense, num_steps, max_gap):
    ends = [*dense, num_steps]
    return all(after - before <= max_gap for before, after in pairwise(ends))


@given(st.integers(4, 9), st.integers(2, 8), st.integers(2, 4), st.randoms(use_true_random=False))
def test_the_search_finds_the_cheapest_of_all_schedules(num_steps, num_dense, max_gap, random):
    table = {}

    def cost(step, known):
        assert step - known[0] < max_gap, "asked for a forecast that no schedule needs"
        return table.setdefault((step, known), random.random())

    rest = range(WARMUP, num_steps)
    every = [
        (*range(WARMUP), *extra)
        for size in range(num_dense - WARMUP + 1)
        for extra in combinations(rest, size)
    ]
    possible = [dense for dense in every if gaps_fit(dense, num_steps, max_gap)]
    arguments = {"taps": TAPS, "max_gap": max_gap, "warmup": WARMUP}
    if not possible:
        with pytest.raises(ValueError, match="`num_dense` must be at least"):
            best_dense_steps(num_steps, num_dense, cost, **arguments)
        return

    found = best_dense_steps(num_steps, num_dense, cost, **arguments)

    chosen = tuple(step for step, dense in enumerate(found) if dense)
    assert chosen in possible
    best = min(total_cost(dense, num_steps, cost) for dense in possible)
    assert total_cost(chosen, num_steps, cost) == pytest.approx(best)


def test_a_step_that_is_hard_to_forecast_is_computed():
    found = best_dense_steps(
        8, 4, lambda step, known: 100.0 if step == 5 else 1.0, taps=2, max_gap=4, warmup=2
    )

    assert found[5]


@pytest.mark.parametrize(
    ("speed", "cost", "dense"), [(1.0, 0.0, 40), (2.0, 0.0, 20), (2.0, 0.05, 18)]
)
def test_dense_steps_make_up_for_what_predicted_steps_take(speed, cost, dense):
    assert num_dense_steps(40, speed, cost) == dense


def test_impossible_speeds_are_refused():
    with pytest.raises(ValueError, match=r"`speed` must be at least 1, got 0\.5"):
        num_dense_steps(40, 0.5)
    with pytest.raises(ValueError, match=r"`speed` must be at most 20\.0"):
        num_dense_steps(40, 30.0, 0.05)


@pytest.mark.parametrize(("num_steps", "max_gap", "warmup"), [
    (10, 3, 3), (40, 4, 3), (6, 2, 3), (12, 4, 1), (7, 7, 2), (5, 9, 5), (4, 2, 3),
])  # fmt: skip
def test_the_fewest_dense_steps_give_a_schedule_and_one_fewer_gives_none(
    num_steps, max_gap, warmup
):
    least = least_dense_steps(num_steps, max_gap, warmup)

    def search(num_dense):
        return best_dense_steps(
            num_steps, num_dense, lambda step, known: 1.0, taps=1, max_gap=max_gap, warmup=warmup
        )

    assert sum(search(least)) == least
    if least > warmup:
        with pytest.raises(ValueError, match=r"^`num_dense` must be at least"):
            search(least - 1)
