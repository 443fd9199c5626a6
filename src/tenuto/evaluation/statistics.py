"""Statistics over prompts: summaries and bootstrap intervals of means and paired differences.

A value of None stands for a prompt whose output was identical to the reference, which has no
finite PSNR. It is accepted only together with `identical_as`, the value it then counts as; PSNR
uses `quality.PSNR_CEILING_DB`. Records tell how many there were, for the mean depends on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUM_RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A closed interval."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"`low` must be <= `high` ({self.high!r}), got {self.low!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Values of one measure over the prompts, in the unit of the values.

    `mean`, `median` and `p10` (10th percentile) are None when all prompts were identical;
    `interval` (95 % bootstrap, of the mean) then too, and for a single prompt.
    """

    num_prompts: int
    num_identical: int
    mean: float | None
    median: float | None
    p10: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Mean over prompts of first minus second, with its 95 % interval; None for a single prompt."""

    num_prompts: int
    mean: float
    interval: Interval | None

    @property
    def is_tie(self) -> bool:
        """Whether the prompts do not show a difference."""
        return is_tie(self.interval)


def summarize(
    values: Sequence[float | None], *, identical_as: float | None = None, seed: int = 0
) -> Summary:
    """Condense one measure over the prompts.

    Args:
        values: One per prompt, None where the output was identical to the reference.
        identical_as: What None counts as while some prompt is not identical.
        seed: Of the bootstrap generator.

    Raises:
        ValueError: No values, a value that is not finite, or None without `identical_as`.

    >>> summarize([30.0, 32.0, 40.0]).median
    32.0
    """
    numbers = _numbers("values", values, identical_as)
    num_identical = sum(value is None for value in values)
    if num_identical == len(values):
        return Summary(
            num_prompts=len(values),
            num_identical=num_identical,
            mean=None,
            median=None,
            p10=None,
            interval=None,
        )
    return Summary(
        num_prompts=len(values),
        num_identical=num_identical,
        mean=float(numbers.mean()),
        median=float(np.median(numbers)),
        p10=float(np.percentile(numbers, 10)),
        interval=_interval_or_none(numbers, seed),
    )


def paired_difference(
    first: Sequence[float | None],
    second: Sequence[float | None],
    *,
    identical_as: float | None = None,
    seed: int = 0,
) -> PairedDifference:
    """Compare two techniques prompt by prompt, which removes how hard each prompt is.

    Args:
        first: One value per prompt, None where the output was identical to the reference.
        second: Likewise, the same prompts in the same order.
        identical_as: What None counts as; two identical outputs differ by 0.
        seed: Of the bootstrap generator.

    Raises:
        ValueError: Different numbers of prompts, no prompt, a value that is not finite, or None
            without `identical_as`.

    >>> paired_difference([31.0, 36.0, 40.0], [30.0, 34.0, 37.0]).mean
    2.0
    """
    if len(first) != len(second):
        raise ValueError(
            "`first` must have one value for each of `second`, "
            f"got {len(first)} and {len(second)} values"
        )
    differences = _numbers("first", first, identical_as) - _numbers("second", second, identical_as)
    return PairedDifference(
        num_prompts=len(differences),
        mean=float(differences.mean()),
        interval=_interval_or_none(differences, seed),
    )


def is_tie(interval: Interval | None) -> bool:
    """Whether an interval of a difference leaves its sign open; no interval leaves it open too.

    >>> is_tie(Interval(low=-0.2, high=0.5)), is_tie(Interval(low=0.1, high=0.5)), is_tie(None)
    (True, False, True)
    """
    return interval is None or interval.low <= 0 <= interval.high


def bootstrap_interval(
    values: Sequence[float], *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval of the mean, at 95 %.

    The same values and seed give the same interval. Below about 20 values it is somewhat too
    narrow, as any percentile bootstrap.

    Args:
        values: At least two finite numbers.
        num_resamples: Number of resamples, each as large as `values`, drawn with replacement.
        seed: Of the generator.

    Raises:
        ValueError: Fewer than two values, a value that is not finite, or `num_resamples` < 1.

    Source: Efron, "Bootstrap methods: another look at the jackknife", Ann. Statist. 7(1), 1979.
    """
    numbers = _numbers("values", values, None)
    if len(numbers) < 2:
        raise ValueError(f"`values` must hold at least 2 numbers, got {len(numbers)}")
    if num_resamples < 1:
        raise ValueError(f"`num_resamples` must be >= 1, got {num_resamples!r}")
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(numbers), size=(num_resamples, len(numbers)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(numbers[drawn].mean(axis=1), [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


def _interval_or_none(numbers: np.ndarray, seed: int) -> Interval | None:
    """One value says nothing about its spread: no interval rather than an empty one."""
    return bootstrap_interval(numbers.tolist(), seed=seed) if len(numbers) > 1 else None


def _numbers(name: str, values: Sequence[float | None], identical_as: float | None) -> np.ndarray:
    if len(values) == 0:
        raise ValueError(f"`{name}` must hold at least one value, got none")
    if identical_as is None and any(value is None for value in values):
        raise ValueError(
            f"`{name}` must hold numbers alone unless `identical_as` is given, got None"
        )
    numbers = np.array([identical_as if value is None else value for value in values], dtype=float)
    if not np.isfinite(numbers).all():
        raise ValueError(f"`{name}` must be finite, got {numbers[~np.isfinite(numbers)][0]!r}")
    return numbers
