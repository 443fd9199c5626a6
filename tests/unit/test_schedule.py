import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.schedule import Constant, EveryNth, Table, pmr_schedule, predicted_spans


def test_every_nth_is_dense_at_the_start_and_then_at_every_nth_step():
    schedule = EveryNth(ratio=0.5, interval=3, warmup=2)

    ratios = [schedule.row(step, 1)[0] for step in range(9)]

    assert ratios == [0, 0, 0.5, 0.5, 0, 0.5, 0.5, 0, 0.5]


@given(st.floats(0, 1), st.integers(1, 5), st.integers(1, 5))
def test_every_nth_counts_its_interval_from_the_last_step_of_the_start(ratio, interval, warmup):
    schedule = EveryNth(ratio=ratio, interval=interval, warmup=warmup)

    for step in range(20):
        is_dense = step < warmup or (step - warmup + 1) % interval == 0
        assert schedule.row(step, 2) == ((0.0 if is_dense else ratio),) * 2


def test_interval_one_never_reduces():
    schedule = EveryNth(ratio=0.5, interval=1, warmup=1)

    assert schedule.ratios() == ()
    assert all(schedule.row(step, 1) == (0.0,) for step in range(5))


def test_a_constant_reduces_the_first_step_too():
    assert Constant(ratio=0.25).row(0, 3) == (0.25,) * 3
    assert Constant(ratio=0.25).ratios() == (0.25,)


def test_a_table_gives_a_number_to_all_blocks_and_a_tuple_to_each():
    table = Table((0.0, 0.5, (0.0, 1.0)))

    assert [table.row(step, 2) for step in range(3)] == [(0.0, 0.0), (0.5, 0.5), (0.0, 1.0)]
    assert set(table.ratios()) == {0.0, 0.5, 1.0}


def test_steps_past_the_end_of_a_table_are_dense():
    assert Table((0.0, 0.5)).row(2, 3) == (0.0,) * 3


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((0.0, 1.5), r"`schedule\[1\]` must be in \[0, 1\], got 1.5"),
        ((0.0, (0.5, -0.1)), r"`schedule\[1\]` must be in \[0, 1\], got -0.1"),
        ((0.0, float("nan")), r"`schedule\[1\]` must be in \[0, 1\], got nan"),
        ((0.5,), r"`schedule\[0\]` must be 0, as nothing is known before the first step, got 0.5"),
        (((0.0, 0.5),), r"`schedule\[0\]` must be 0, .* first step, got \(0.0, 0.5\)"),
    ],
)
def test_a_table_with_bad_ratios_is_refused(steps, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        Table(steps)


def test_a_table_for_another_number_of_blocks_is_refused():
    with pytest.raises(
        ValueError,
        match=r"^`schedule\[1\]` must have one ratio for each of the model's 3 blocks, got 2$",
    ):
        Table((0.0, (0.5, 0.5))).row(1, 3)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=12))
def test_predicted_spans_hold_exactly_the_blocks_that_compute_nothing(row):
    spans = predicted_spans(row)

    inside = [block for first, last in spans for block in range(first, last + 1)]
    assert inside == [block for block, ratio in enumerate(row) if ratio == 1]
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(spans))


def test_a_lower_pair_match_ratio_matches_again_sooner():
    # Pairs agree less by 0.1 for each step between.
    table = [[1 - 0.1 * abs(a - b) for a in range(7)] for b in range(7)]

    steps = pmr_schedule(table, ratio=0.5, threshold=0.75, max_gap=8, warmup=1).steps

    assert steps == (0, 0.5, 0.5, 0, 0.5, 0.5, 0)


def test_the_largest_gap_matches_again_however_well_pairs_agree():
    steps = pmr_schedule([[1.0] * 6] * 6, ratio=0.5, threshold=0.5, max_gap=2, warmup=2).steps

    assert steps == (0, 0, 0.5, 0, 0.5, 0)


@given(st.floats(0, 1), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**31 - 1))
def test_no_gap_is_longer_than_the_largest_and_every_start_is_dense(threshold, gap, warmup, seed):
    numbers = random.Random(seed)
    table = [[numbers.random() for _ in range(10)] for _ in range(10)]

    steps = pmr_schedule(table, ratio=0.5, threshold=threshold, max_gap=gap, warmup=warmup).steps

    dense = [step for step, ratio in enumerate(steps) if ratio == 0]
    assert dense[:warmup] == list(range(warmup))
    assert all(later - dense_step <= gap for dense_step, later in pairwise(dense))


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"threshold": 1.5}, r"`threshold` must be in \[0, 1\], got 1.5"),
        ({"max_gap": 0}, "`max_gap` must be at least 1, got 0"),
        ({"warmup": 0}, "`warmup` must be at least 1, got 0"),
    ],
)
def test_a_pmr_schedule_refuses_bad_settings(setting, text):
    settings = {"ratio": 0.5, "threshold": 0.6, "max_gap": 8, "warmup": 1, **setting}

    with pytest.raises(ValueError, match=f"^{text}$"):
        pmr_schedule([[1.0]], **settings)
