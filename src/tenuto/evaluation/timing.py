"""Interleaved timing: A B A B ..., so that a slow minute of the machine hits every candidate."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

QUOTABLE_RUNS = 5
"""Fewest timed runs behind a number that is quoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of every timed run of one candidate, in order; possibly none.

    `median_s`, `min_s` and `max_s` are None without a run.
    """

    name: str
    runs_s: tuple[float, ...]

    @property
    def median_s(self) -> float | None:
        """Median, which one disturbed run does not move."""
        return median(self.runs_s) if self.runs_s else None

    @property
    def min_s(self) -> float | None:
        """Fastest run."""
        return min(self.runs_s, default=None)

    @property
    def max_s(self) -> float | None:
        """Slowest run."""
        return max(self.runs_s, default=None)

    @property
    def is_quotable(self) -> bool:
        """Whether there are at least `QUOTABLE_RUNS` runs."""
        return len(self.runs_s) >= QUOTABLE_RUNS


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingReport:
    """Timings in the order of the candidates, and whether Ctrl-C ended them early."""

    timings: tuple[Timing, ...]
    was_interrupted: bool

    def __getitem__(self, name: str) -> Timing:
        """Return the timing of this candidate; KeyError when there is none."""
        for timing in self.timings:
            if timing.name == name:
                return timing
        raise KeyError(name)


def time_interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    num_runs: int = QUOTABLE_RUNS,
    num_warmups: int = 1,
    on_run: Callable[[str], None] = lambda name: None,
    clock: Callable[[], float] = time.perf_counter,
) -> TimingReport:
    """Time candidates in turn, all warm-up runs before the first timed one.

    Ctrl-C ends the timing and keeps the runs that were complete.

    Args:
        candidates: What to run, by name. A call returns when its work is done (a GPU candidate
            synchronises itself); its result is dropped.
        num_runs: Timed runs of each candidate.
        num_warmups: Untimed runs of each candidate.
        on_run: Called with the name after every run, warm-up or timed, outside the timed part.
        clock: Seconds from any origin, never backwards.

    Returns:
        One timing per candidate.

    Raises:
        ValueError: No candidates, `num_runs` < 1 or `num_warmups` < 0.
        Exception: Whatever a candidate raises, with a note that names it.
    """
    if not candidates:
        raise ValueError("`candidates` must name at least one callable, got none")
    if num_runs < 1:
        raise ValueError(f"`num_runs` must be >= 1, got {num_runs!r}")
    if num_warmups < 0:
        raise ValueError(f"`num_warmups` must be >= 0, got {num_warmups!r}")
    runs_s: dict[str, list[float]] = {name: [] for name in candidates}
    was_interrupted = False
    try:
        for round_index in range(num_warmups + num_runs):
            for name, candidate in candidates.items():
                seconds = _seconds_of(name, candidate, clock)
                if round_index >= num_warmups:
                    runs_s[name].append(seconds)
                on_run(name)
    except KeyboardInterrupt:
        was_interrupted = True
    timings = tuple(Timing(name=name, runs_s=tuple(runs)) for name, runs in runs_s.items())
    return TimingReport(timings=timings, was_interrupted=was_interrupted)


def _seconds_of(name: str, candidate: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    try:
        candidate()
    except Exception as error:
        error.add_note(f"while timing {name!r}")
        raise
    return clock() - start
