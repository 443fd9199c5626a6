"""Search a composition from nothing to its file: measure parts, compose, choose, check, save."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from tenuto.evaluation.generation import Workload
from tenuto.evaluation.machine import versions
from tenuto.evaluation.search.additive import Measured
from tenuto.evaluation.search.choose import Lags, Target, choose, front_of
from tenuto.evaluation.search.compose import Composer
from tenuto.evaluation.search.levels import Price
from tenuto.evaluation.search.measuring import Measuring
from tenuto.evaluation.search.parts import measure_parts
from tenuto.evaluation.search.setting import drawn
from tenuto.evaluation.search.worker import calibration_of
from tenuto.integration.calibration import save_calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a search is for, and how long it may go on.

    Attributes:
        targets: What is wanted, one or more.
        price: What a speed-up is of.
        num_proposed: Compositions that are measured for one target at most, >= 0.
    """

    targets: tuple[Target, ...]
    price: Price
    num_proposed: int

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("`--target-speed` or `--target-psnr` must be given, got neither")
        if self.num_proposed < 0:
            raise ValueError(f"`--evaluations` must be at least 0, got {self.num_proposed!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The setting of one target.

    Attributes:
        target: What was wanted.
        chosen: On the prompts of the search.
        checked: On prompts that the search did not see.
        time_speedup: Measured; None where operations decided.
    """

    target: Target
    chosen: Measured
    checked: Measured
    time_speedup: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a search found.

    Attributes:
        measured: Everything measured on the prompts of the search, single techniques first.
        winners: One a target that is reached, in their order.
        refused: A sentence for each other target.
    """

    measured: list[Measured]
    winners: list[Winner]
    refused: list[str]

    @property
    def front(self) -> list[Measured]:
        """What nothing measured beats, slowest first."""
        return front_of(self.measured)


def search(measuring: Measuring, budget: Budget) -> Result:
    """Find the setting of every target.

    Args:
        measuring: Measures; what it measured before is not measured again.
        budget: What is wanted.

    Raises:
        ValueError: No target is reached.

    Source: ours.
    """
    parts = measure_parts(measuring, budget.price)
    composer = Composer(measuring, parts, budget.num_proposed)
    lags, winners, refused = Lags(), [], []
    for target in budget.targets:
        try:
            winners.append(_winner(measuring, budget, (composer, lags), target))
        except ValueError as error:  # of one target; the others' hours are not lost for it
            refused.append(str(error))
    if not winners:
        raise ValueError(refused[0])
    return Result(measured=composer.measured, winners=winners, refused=refused)


def save_winner(
    measuring: Measuring, workload: Workload, result: Result, winner: Winner, path: Path
) -> None:
    """Write the composition of a target, with the front and how it did on other prompts."""
    notes: dict[str, Any] = {
        "method": "composed",
        "model": workload.model,
        "target": str(winner.target),
        "setting": str(winner.chosen.setting),
        "macs_speedup": winner.chosen.speed,
        "time_speedup": winner.time_speedup,
        "searched_psnr_db": fmean(winner.chosen.psnr_db),
        "checked_psnr_db": fmean(winner.checked.psnr_db),
        "front": [[one.speed, fmean(one.psnr_db), str(one.setting)] for one in result.front],
        "versions": versions(),
    }
    calibration = calibration_of(measuring.site, workload.pipe, winner.chosen.setting, notes)
    save_calibration(calibration, path)


def in_words(result: Result) -> str:
    """Return the front as a table, then each winner and how it did."""
    lines = [f"front of {len(result.measured)} settings, by operations:"]
    lines += [_line(one) for one in result.front]
    for winner in result.winners:
        took = "" if winner.time_speedup is None else f"; {_in_time(winner)}"
        short = _shortfall(winner)
        lines += [
            f"{winner.target}: chosen{took}",
            _line(winner.chosen),
            f"  {drawn(winner.chosen.setting.ratios)}",
            f"  on {len(winner.checked.psnr_db)} prompts that the search did not see: "
            f"{fmean(winner.checked.psnr_db):.1f} dB (worst {min(winner.checked.psnr_db):.1f})"
            f"{short}",
        ]
    return "\n".join(lines)


def _winner(
    measuring: Measuring, budget: Budget, known: tuple[Composer, Lags], target: Target
) -> Winner:
    composer, lags = known
    time = measuring.time if budget.price == "time" else None
    chosen = choose(composer.compose, target, time, lags)
    (checked,) = measuring.settings([chosen.setting], measuring.checked)
    return Winner(
        target=target,
        chosen=chosen,
        checked=checked,
        time_speedup=None if time is None else time([chosen])[0],
    )


def _in_time(winner: Winner) -> str:
    """Say how fast a winner was, and by how much it misses its target, if it does."""
    found, wanted = winner.time_speedup, winner.target.speed
    assert found is not None
    short = f", {wanted - found:.3f} short" if wanted is not None and found < wanted else ""
    return f"{found:.2f}x in time{short}"


def _line(one: Measured) -> str:
    return (
        f"  {one.speed:5.2f}x  {fmean(one.psnr_db):5.1f} dB (worst {min(one.psnr_db):.1f})  "
        f"{one.setting}"
    )


def _shortfall(winner: Winner) -> str:
    wanted = winner.target.psnr_db
    found = fmean(winner.checked.psnr_db)
    if wanted is None or found >= wanted:
        return ""
    return f", {wanted - found:.1f} dB short"
