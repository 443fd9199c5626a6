"""What was measured -> the front, and the setting that meets a target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean, median

from tenuto.evaluation.fronts import pareto
from tenuto.evaluation.search.additive import Measured
from tenuto.evaluation.search.setting import Setting

Time = Callable[[Sequence[Measured]], list[float]]
"""Returns measured speed-ups in time."""

NUM_TIMED = 3
"""Settings that are timed at once."""

_NUM_TRIES = 4
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A wish: at least so many decibels as fast as can be, or so fast at the highest fidelity.

    One of the two is None.
    """

    psnr_db: float | None = None
    speed: float | None = None

    def __post_init__(self) -> None:
        if (self.psnr_db is None) == (self.speed is None):
            raise ValueError(
                f"`target` must be decibels or a speed-up, got {self.psnr_db!r} and {self.speed!r}"
            )
        if self.psnr_db is not None and self.psnr_db <= 0:
            raise ValueError(f"`--target-psnr` must be above 0 dB, got {self.psnr_db!r}")
        if self.speed is not None and self.speed < 1:
            raise ValueError(f"`--target-speed` must be at least 1, got {self.speed!r}")

    def __str__(self) -> str:
        return f"{self.speed:.4g}x" if self.speed is not None else f"{self.psnr_db:.4g} dB"

    @property
    def slug(self) -> str:
        """The target as part of a file name."""
        return str(self).replace(" dB", "db")

    def is_met(self, speed: float, error: float) -> bool:
        """Say whether a speed-up, or an error (see `Measured.error`), is enough."""
        if self.speed is not None:
            return speed >= self.speed
        assert self.psnr_db is not None
        return error <= 10 ** (-self.psnr_db / 10)

    def rank(self, speed: float, error: float) -> float:
        """Return a number that is larger for the better of two that meet the target."""
        return -error if self.speed is not None else speed


Compose = Callable[[Target], Sequence[Measured]]
"""Measures what may meet a target, and returns everything measured so far."""


def best_of(measured: Sequence[Measured], target: Target) -> list[Measured]:
    """Return the settings that meet a target by their operations, best first."""
    good = [one for one in measured if target.is_met(one.speed, one.error)]
    return sorted(good, key=lambda one: -target.rank(one.speed, one.error))


def front_of(measured: Sequence[Measured]) -> list[Measured]:
    """Return the settings that no other beats in both operations and mean PSNR, slowest first."""
    points = [(one.speed, fmean(one.psnr_db)) for one in measured]
    found = dict(zip(reversed(points), reversed(measured), strict=True))  # of equal ones the first
    return [found[point] for point in pareto(points)]


class Lags:
    """Which share of the operations' saving is saved in time, for each set of kinds; learned.

    Predicted steps save nearly all of it, computed parts of steps less. A median over everything
    timed: single timings scatter.
    """

    def __init__(self) -> None:
        """Take operations at their word."""
        self._shares: dict[frozenset[str], list[float]] = {}

    def learn(self, one: Measured, speedup: float) -> None:
        """Take a measured speed-up in time."""
        if one.speed > 1:
            share = (1 - 1 / speedup) / (1 - 1 / one.speed)
            self._shares.setdefault(one.setting.kinds, []).append(share)

    def time_speed(self, one: Measured) -> float:
        """Return the speed-up in time that a setting's operations foretell."""
        share = median(self._shares.get(one.setting.kinds, [1.0]))
        return 1 / (1 - share * (1 - 1 / one.speed))

    def operations_for(self, speed: float) -> float:
        """Return the least speed-up in operations from which any kinds reach one in time."""
        share = max((median(shares) for shares in self._shares.values()), default=1.0)
        saved = 1 - 1 / speed
        return 1 / (1 - saved / share) if share > saved else inf


def choose(compose: Compose, target: Target, time: Time | None, lags: Lags) -> Measured:
    """Return the setting of a target.

    Args:
        compose: Gives settings to choose from.
        target: What is wanted.
        time: Measures speed-ups in time; None lets operations decide.
        lags: What earlier timings told; learns from those of this target.

    Returns:
        The best that meets the target. In time: where the tries ran out, the fastest timed.

    Raises:
        ValueError: No setting meets the target by its operations, or can be foretold to in time.
    """
    if time is not None and target.speed is not None:
        return _fast_enough(compose, target.speed, time, lags)
    measured = compose(target)
    ranked = best_of(measured, target)[:NUM_TIMED]
    if not ranked:
        raise ValueError(_unreached(measured, target))
    if time is None:
        return ranked[0]
    return max(zip(time(ranked), ranked, strict=True), key=lambda pair: pair[0])[1]


def _fast_enough(compose: Compose, speed: float, time: Time, lags: Lags) -> Measured:
    """Return the best setting that is foretold to be as fast as wanted, and was timed itself.

    What all timings together tell decides, not the setting's own: single ones scatter by more than
    neighbouring settings differ. After all tries, the fastest timed.

    Raises:
        ValueError: None can be expected to be.
    """
    timed: dict[Setting, float] = {}
    known: list[Measured] = []
    for round_index in range(_NUM_TRIES + 1):
        goal = max(speed, lags.operations_for(speed))
        measured = compose(Target(speed=goal)) if goal < inf else ()
        able = [one for one in measured if lags.time_speed(one) >= speed * (1 - _ROUNDING)]
        able = sorted(able, key=lambda one: one.error)[:NUM_TIMED]
        if not able:
            raise ValueError(_too_slow(measured, speed, max(timed.values(), default=0.0)))
        if able[0].setting in timed:
            return able[0]
        if round_index == _NUM_TRIES:
            break
        new = [one for one in able if one.setting not in timed]
        for one, speedup in zip(new, time(new), strict=True):
            lags.learn(one, speedup)
            timed[one.setting] = speedup
            known.append(one)
    return max(known, key=lambda one: timed[one.setting])


def _too_slow(measured: Sequence[Measured], speed: float, fastest: float) -> str:
    if fastest == 0:
        return _unreached(measured, Target(speed=speed))
    return (
        f"`--target-speed` must be a speed-up in time that a setting reaches, at most "
        f"{fastest:.2f}x of those timed, got {speed!r}; --price macs counts operations instead"
    )


def _unreached(measured: Sequence[Measured], target: Target) -> str:
    speed = max((one.speed for one in measured), default=1.0)
    psnr_db = max((fmean(one.psnr_db) for one in measured), default=0.0)
    return (
        f"the target must be one that a setting reaches, at most {speed:.2f}x or {psnr_db:.1f} dB "
        f"here, got {target}"
    )
