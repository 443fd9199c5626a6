import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.evaluation.timing import Timing, TimingReport, time_interleaved


class FakeClock:
    """Time passes only when a candidate says so."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s

    def takes(self, *seconds):
        """Make a candidate whose successive calls last so long; the last one repeats."""
        durations = list(seconds)

        def candidate():
            self.now_s += durations.pop(0) if len(durations) > 1 else durations[0]

        return candidate


def test_candidates_run_in_turn_with_all_warm_up_rounds_first():
    log = []
    candidates = {name: (lambda name=name: log.append(name)) for name in "AB"}

    report = time_interleaved(candidates, num_runs=3, num_warmups=2)

    assert "".join(log) == "ABAB" + "ABABAB"
    assert [len(timing.runs_s) for timing in report.timings] == [3, 3]
    assert not report.was_interrupted


def test_warm_up_runs_are_not_counted():
    clock = FakeClock()

    report = time_interleaved({"A": clock.takes(50.0, 50.0, 1.0)}, num_warmups=2, clock=clock)

    assert report["A"].runs_s == (1.0,) * 5


def test_each_candidate_gets_its_own_seconds():
    clock = FakeClock()
    candidates = {"slow": clock.takes(0.0, 4.0, 9.0, 5.0), "fast": clock.takes(1.0)}

    report = time_interleaved(candidates, num_runs=3, clock=clock)

    slow = report["slow"]
    assert slow.runs_s == (4.0, 9.0, 5.0)
    assert (slow.min_s, slow.median_s, slow.max_s) == (4.0, 5.0, 9.0)
    assert report["fast"].runs_s == (1.0, 1.0, 1.0)


def test_time_spent_in_on_run_is_not_counted():
    clock = FakeClock()
    seen = []

    def on_run(name):
        seen.append(name)
        clock.now_s += 1000

    candidates = {"A": clock.takes(2.0), "B": clock.takes(3.0)}
    report = time_interleaved(candidates, num_runs=2, num_warmups=1, on_run=on_run, clock=clock)

    assert seen == ["A", "B"] * 3
    assert report["A"].runs_s == (2.0, 2.0)
    assert report["B"].runs_s == (3.0, 3.0)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_median_lies_between_fastest_and_slowest_run(runs_s):
    timing = Timing(name="A", runs_s=tuple(runs_s))

    assert timing.min_s <= timing.median_s <= timing.max_s
    assert timing.is_quotable == (len(runs_s) >= 5)


def test_a_timing_without_runs_has_no_seconds():
    timing = Timing(name="A", runs_s=())

    assert (timing.median_s, timing.min_s, timing.max_s) == (None, None, None)
    assert not timing.is_quotable


def test_ctrl_c_keeps_the_runs_that_were_complete():
    clock = FakeClock()
    num_calls = 0

    def interrupted():
        nonlocal num_calls
        num_calls += 1
        clock.now_s += 7
        if num_calls == 4:
            raise KeyboardInterrupt

    candidates = {"A": clock.takes(2.0), "B": interrupted}
    report = time_interleaved(candidates, num_runs=5, num_warmups=1, clock=clock)

    assert report.was_interrupted
    assert report["A"].runs_s == (2.0, 2.0, 2.0)
    assert report["B"].runs_s == (7.0, 7.0)
    assert num_calls == 4


def test_ctrl_c_during_the_warm_up_leaves_every_candidate_without_runs():
    def interrupted():
        raise KeyboardInterrupt

    report = time_interleaved({"A": interrupted, "B": lambda: None})

    assert report == TimingReport(
        timings=(Timing(name="A", runs_s=()), Timing(name="B", runs_s=())), was_interrupted=True
    )


def test_a_candidate_that_fails_is_named_in_the_error():
    def failing():
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory") as caught:
        time_interleaved({"fine": lambda: None, "broken": failing})

    assert caught.value.__notes__ == ["while timing 'broken'"]


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError, match="other"):
        time_interleaved({"A": lambda: None}, num_runs=1)["other"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"candidates": {}}, "`candidates` must name at least one callable, got none"),
        ({"num_runs": 0}, "`num_runs` must be >= 1, got 0"),
        ({"num_warmups": -1}, "`num_warmups` must be >= 0, got -1"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(arguments, text):
    log = []

    with pytest.raises(ValueError, match=text):
        time_interleaved(**{"candidates": {"A": lambda: log.append("A")}, **arguments})

    assert log == []
