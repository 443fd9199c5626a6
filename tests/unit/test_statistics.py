import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tenuto.evaluation.statistics import (
    Interval,
    Summary,
    bootstrap_interval,
    is_tie,
    paired_difference,
    summarize,
)

VALUES = st.lists(st.floats(0, 60), min_size=2, max_size=20)
# A deadline would assert wall time.
few_examples = settings(deadline=None, max_examples=25)


def test_summary_of_eleven_prompts_is_read_off():
    values = [float(value) for value in range(11)]

    summary = summarize(values)

    assert (summary.num_prompts, summary.num_identical) == (11, 0)
    assert (summary.mean, summary.median, summary.p10) == (5.0, 5.0, 1.0)


def test_summary_mean_follows_an_outlier_and_median_does_not():
    summary = summarize([30.0, 31.0, 32.0, 33.0, 90.0])

    assert (summary.mean, summary.median) == (43.2, 32.0)


def test_summary_of_only_identical_prompts_has_no_numbers():
    assert summarize([None, None], identical_as=100.0) == Summary(
        num_prompts=2, num_identical=2, mean=None, median=None, p10=None, interval=None
    )


def test_an_identical_prompt_counts_as_the_given_value_and_is_counted():
    summary = summarize([None, 20.0, 30.0], identical_as=100.0)

    assert summary.num_identical == 1
    assert (summary.mean, summary.median) == (50.0, 30.0)
    assert summary.interval == bootstrap_interval([100.0, 20.0, 30.0])


def test_summary_of_one_prompt_has_a_mean_and_no_interval():
    summary = summarize([30.0])

    assert (summary.mean, summary.p10, summary.interval) == (30.0, 30.0, None)


@few_examples
@given(VALUES)
def test_interval_contains_the_mean_and_stays_inside_the_values(values):
    interval = bootstrap_interval(values, num_resamples=2000)

    # Sums of at most 20 values up to 60 round by less than 1e-9.
    assert interval.low - 1e-9 <= np.mean(values) <= interval.high + 1e-9
    assert min(values) - 1e-9 <= interval.low
    assert interval.high <= max(values) + 1e-9


@few_examples
@given(VALUES, st.integers(0, 100))
def test_interval_repeats_exactly_with_its_seed(values, seed):
    assert bootstrap_interval(values, seed=seed) == bootstrap_interval(values, seed=seed)


def test_interval_depends_on_the_seed():
    values = np.random.default_rng(0).normal(size=30).tolist()

    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


@few_examples
@given(VALUES, st.floats(-50, 50))
def test_interval_moves_with_the_values(values, shift):
    interval = bootstrap_interval(values, num_resamples=500)
    moved = bootstrap_interval([value + shift for value in values], num_resamples=500)

    assert moved.low == pytest.approx(interval.low + shift, abs=1e-9)
    assert moved.high == pytest.approx(interval.high + shift, abs=1e-9)


def test_interval_equals_scipys_percentile_bootstrap_up_to_resampling_noise():
    scipy_stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(3).lognormal(mean=3, size=40)

    ours = bootstrap_interval(values.tolist())
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(4)
    ).confidence_interval

    # The 2.5 % quantile of 10,000 resamples has a standard error of about 0.03 of theirs.
    tolerance = 0.12 * values.std() / np.sqrt(len(values))
    assert ours.low == pytest.approx(theirs.low, abs=tolerance)
    assert ours.high == pytest.approx(theirs.high, abs=tolerance)


def test_interval_covers_the_true_mean_about_95_times_in_100():
    generator = np.random.default_rng(5)
    num_covered = 0
    for _ in range(300):
        interval = bootstrap_interval(generator.normal(size=40).tolist(), num_resamples=1000)
        num_covered += interval.low <= 0 <= interval.high

    # Percentile intervals of 40 values cover about 0.94; 300 trials scatter by 0.014.
    assert 0.89 <= num_covered / 300 <= 0.98


def test_interval_narrows_with_the_root_of_the_number_of_prompts():
    values = np.random.default_rng(6).normal(size=32)
    few, many = (bootstrap_interval(np.tile(values, times).tolist()) for times in (1, 16))

    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.05)


@few_examples
@given(VALUES)
def test_paired_difference_of_equal_series_is_exactly_zero_and_a_tie(values):
    difference = paired_difference(values, values)

    assert difference.mean == 0
    assert difference.interval == Interval(low=0.0, high=0.0)
    assert difference.is_tie


@few_examples
@given(VALUES, st.randoms(use_true_random=False))
def test_paired_difference_changes_sign_when_the_techniques_swap(values, random):
    other = [value + random.uniform(-2, 2) for value in values]

    forth, back = paired_difference(values, other), paired_difference(other, values)

    assert forth.mean == pytest.approx(-back.mean)
    assert forth.is_tie == back.is_tie
    # Resampling is the same, so the two intervals mirror each other.
    assert forth.interval.low == pytest.approx(-back.interval.high, abs=1e-9)


def test_paired_difference_sees_a_small_gain_under_a_large_spread_of_prompts():
    hard_to_easy = np.linspace(10, 50, 32)
    gains = np.tile([0.1, 0.3], 16)
    first, second = (hard_to_easy + gains).tolist(), hard_to_easy.tolist()

    difference = paired_difference(first, second)
    unpaired = [summarize(series).interval for series in (first, second)]

    assert difference.mean == pytest.approx(0.2)
    assert 0 < difference.interval.low < 0.2 < difference.interval.high
    assert not difference.is_tie
    assert unpaired[0].low < unpaired[1].high


def test_paired_difference_that_only_one_prompt_carries_is_a_tie():
    difference = paired_difference([30.0] * 31 + [94.0], [30.0] * 32)

    assert difference.mean == 2.0
    assert difference.is_tie


def test_prompts_where_both_are_identical_differ_by_zero():
    difference = paired_difference([None, 30.0], [None, 28.0], identical_as=100.0)

    assert difference.mean == 1.0


def test_a_prompt_that_only_the_first_leaves_identical_counts_for_it():
    assert paired_difference([None, 30.0], [40.0, 30.0], identical_as=100.0).mean == 30.0


def test_one_prompt_shows_no_difference_whatever_its_size():
    difference = paired_difference([90.0], [10.0])

    assert (difference.num_prompts, difference.mean, difference.interval) == (1, 80.0, None)
    assert difference.is_tie


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_tie_is_an_interval_that_holds_zero(one, other):
    assume(one != 0 and other != 0)
    low, high = sorted((one, other))

    assert is_tie(Interval(low=low, high=high)) == (low < 0 < high)


def test_an_interval_that_touches_zero_is_a_tie():
    assert is_tie(Interval(low=0.0, high=1.0))
    assert is_tie(Interval(low=-1.0, high=0.0))


def test_an_interval_refuses_bounds_in_the_wrong_order():
    with pytest.raises(ValueError, match=r"`low` must be <= `high` \(1.0\), got 2.0"):
        Interval(low=2.0, high=1.0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: summarize([]), "`values` must hold at least one value, got none"),
        (lambda: summarize([1.0, None]), "`values` must hold numbers alone unless `identical_as`"),
        (lambda: summarize([1.0, float("nan")]), "`values` must be finite, got .*nan"),
        (lambda: summarize([1.0, float("inf")]), "`values` must be finite, got .*inf"),
        (lambda: paired_difference([1.0], [1.0, 2.0]), "got 1 and 2 values"),
        (lambda: paired_difference([1.0], [None]), "`second` must hold numbers alone"),
        (lambda: bootstrap_interval([1.0]), "`values` must hold at least 2 numbers, got 1"),
        (lambda: bootstrap_interval([1.0, 2.0], num_resamples=0), "`num_resamples` must be >= 1"),
    ],
)
def test_bad_values_are_refused_with_a_sentence(call, text):
    with pytest.raises(ValueError, match=text):
        call()
