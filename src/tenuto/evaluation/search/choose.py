"""What was measured -> the front, and the setting that meets a target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from tenuto.evaluation.fronts import pareto
from tenuto.evaluation.search.additive import Measured

Time = Callable[[Sequence[Measured]], list[float]]
"""Returns measured speed-ups in time."""

NUM_TIMED = 3
"""Settings that are timed at once."""

_NUM_TRIES = 3


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


def choose(compose: Compose, target: Target, time: Time | None) -> Measured:
    """Return the setting of a target.

    Args:
        compose: Gives settings to choose from.
        target: What is wanted.
        time: Measures speed-ups in time; None lets operations decide.

    Raises:
        ValueError: No setting meets the target.
    """
    if time is not None and target.speed is not None:
        return _fast_enough(compose, target.speed, time)
    measured = compose(target)
    ranked = best_of(measured, target)[:NUM_TIMED]
    if not ranked:
        raise ValueError(_unreached(measured, target))
    if time is None:
        return ranked[0]
    return max(zip(time(ranked), ranked, strict=True), key=lambda pair: pair[0])[1]


def _fast_enough(compose: Compose, speed: float, time: Time) -> Measured:
    """Return the best setting that is as fast as wanted in time.

    Operations foretell who may be. Where time lags behind them, that many more are asked for.

    Raises:
        ValueError: None is.
    """
    goal, fastest = speed, 0.0
    for _ in range(_NUM_TRIES):
        target = Target(speed=goal)
        measured = compose(target)
        some = best_of(measured, target)[:NUM_TIMED]
        if not some and fastest == 0:
            raise ValueError(_unreached(measured, target))
        if not some:
            break
        found = time(some)
        for one, speedup in zip(some, found, strict=True):
            if speedup >= speed:
                return one
        fastest = max(fastest, *found)
        lag = max(speedup / one.speed for one, speedup in zip(some, found, strict=True))
        goal = max(speed / lag, 1.001 * goal)
    raise ValueError(
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
