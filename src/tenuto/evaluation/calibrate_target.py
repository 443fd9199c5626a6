"""Calibrate to a wish: at least so many decibels, or so many times faster; then check it."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from torch import Tensor

from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.schedule_search import least_dense_steps, num_dense_steps
from tenuto.evaluation.calibrate import WARMUP, Forecastable, drawn, forecastable
from tenuto.evaluation.generation import Workload
from tenuto.evaluation.quality import PSNR_CEILING_DB, fidelity
from tenuto.evaluation.samples import Progress
from tenuto.integration.accelerate import accelerate
from tenuto.integration.calibration import save_calibration

NUM_SEARCHED = 3
"""Prompts, apart from those of the fit, on which schedules are compared."""

NUM_CHECKED = 4
"""Further prompts, on which only the chosen schedule is run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One schedule and how it did.

    Attributes:
        ratios: By step.
        speed: That it should have, from its dense steps and the price of a predicted one.
        psnr_db: One a prompt.
    """

    ratios: tuple[float, ...]
    speed: float
    psnr_db: tuple[float, ...]

    def __str__(self) -> str:
        num_dense = self.ratios.count(0.0)
        return (
            f"{self.speed:5.2f}x  {fmean(self.psnr_db):5.1f} dB (worst {min(self.psnr_db):.1f})  "
            f"{num_dense:2d} dense  {drawn(self.ratios)}"
        )


def calibrate_to_target(
    workload: Workload,
    prompts: tuple[str, ...],
    target: tuple[float | None, float | None],
    max_gap: int,
    out: Path,
    progress: Progress = lambda done: None,
) -> str:
    """Find the fastest schedule of at least so many decibels, or the best of so high a speed.

    For decibels, the number of dense steps is found by bisection: more dense steps are taken to be
    at least as good. For each number, dynamic programming chooses which (`Forecastable.schedule`).

    Args:
        workload: Model, steps, scheduler, seed.
        prompts: The last `NUM_SEARCHED` + `NUM_CHECKED` of them search and check, the others fit.
        target: Decibels of mean PSNR, or speed-up; the other is None.
        max_gap: Most steps from one dense step to the next, >= 2.
        out: The calibration.
        progress: Called after each run.

    Returns:
        What was tried, what was chosen, and how it did on the prompts of the check, in words.

    Raises:
        ValueError: An argument is out of its range, there are too few prompts, or no schedule with
            a predicted step reaches the target.

    Source: ours.
    """
    _check_target(target, workload.num_steps)
    psnr_db, speed = target
    num_fitted = len(prompts) - NUM_SEARCHED - NUM_CHECKED
    found = forecastable(workload, prompts[: max(0, num_fitted)], max_gap, progress)
    trial = _Trial(workload, prompts, found, progress)
    searched = range(num_fitted, num_fitted + NUM_SEARCHED)
    if psnr_db is not None:
        tried, chosen = _bisected(trial, searched, psnr_db)
    else:
        assert speed is not None
        num_dense = num_dense_steps(workload.num_steps, speed, found.predicted_cost)
        tried = [chosen := trial.of(num_dense, searched)]
    checked = trial.of(chosen.ratios.count(0.0), range(searched.stop, len(prompts)))
    notes = {
        "target_psnr_db": psnr_db,
        "target_speed": speed,
        "checked_psnr_db": fmean(checked.psnr_db),
        "front": [[t.speed, fmean(t.psnr_db)] for t in tried],
    }
    save_calibration(found.calibration(workload, chosen.ratios, notes), out)
    return f"{_in_words(tried, checked, psnr_db)}\nwrote {out}"


def _check_target(target: tuple[float | None, float | None], num_steps: int) -> None:
    """Raise ValueError unless one of decibels and speed-up is given, and can be wanted."""
    psnr_db, speed = target
    if (psnr_db is None) == (speed is None):
        raise ValueError(f"`target` must be decibels or a speed-up, not both, got {target}")
    if psnr_db is not None and psnr_db <= 0:
        raise ValueError(f"`--target-psnr` must be above 0 dB, got {psnr_db!r}")
    if speed is not None:
        num_dense_steps(num_steps, speed)


def _in_words(tried: list[Tried], checked: Tried, psnr_db: float | None) -> str:
    """Say what was tried, and how the chosen schedule did on the prompts of the check."""
    lines = [f"tried on {NUM_SEARCHED} prompts:", *(str(t) for t in sorted(tried, key=_speed))]
    lines.append(f"chosen, on {NUM_CHECKED} prompts that the search did not see:\n{checked}")
    if psnr_db is not None and fmean(checked.psnr_db) < psnr_db:
        lines.append(
            f"note: {psnr_db - fmean(checked.psnr_db):.1f} dB short of {psnr_db:g} dB there"
        )
    return "\n".join(lines)


def _speed(tried: Tried) -> float:
    return tried.speed


def _bisected(trial: "_Trial", searched: range, psnr_db: float) -> tuple[list[Tried], Tried]:
    """Return all that was tried, and the fastest that reaches the target."""
    found = trial.found
    least = least_dense_steps(found.num_steps, found.max_gap, WARMUP)
    low, high = least, found.num_steps - 1
    tried: list[Tried] = []
    good: Tried | None = None
    while low <= high:
        middle = (low + high) // 2
        tried.append(trial.of(middle, searched))
        if fmean(tried[-1].psnr_db) >= psnr_db:
            good, high = tried[-1], middle - 1
        else:
            low = middle + 1
    if good is None:
        best = max(fmean(t.psnr_db) for t in tried)
        raise ValueError(
            f"`--target-psnr` must be at most {best:.1f} dB, which {found.num_steps - 1} of "
            f"{found.num_steps} dense steps reach, got {psnr_db!r}"
        )
    return tried, good


class _Trial:
    """Runs schedules on prompts; keeps the untouched samples that it compares with."""

    def __init__(
        self,
        workload: Workload,
        prompts: tuple[str, ...],
        found: Forecastable,
        progress: Progress,
    ) -> None:
        self.found = found
        self._workload, self._prompts, self._progress = workload, prompts, progress
        self._references: dict[int, Tensor] = {}

    def of(self, num_dense: int, indices: range) -> Tried:
        """Run the best schedule of so many dense steps on some of the prompts."""
        ratios = self.found.schedule(num_dense)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "tried.safetensors"
            save_calibration(self.found.calibration(self._workload, ratios, {}), path)
            setting = DiTo(schedule=str(path), predict="fitted")
            psnr = tuple(self._psnr(index, setting) for index in indices)
        return Tried(ratios=ratios, speed=self.found.speed(ratios), psnr_db=psnr)

    def _psnr(self, index: int, setting: DiTo) -> float:
        prompt = self._prompts[index]
        if index not in self._references:
            self._references[index] = self._workload.generate(prompt, index)
            self._progress("untouched")
        with accelerate(self._workload.pipe, setting):
            sample = self._workload.generate(prompt, index)
        self._progress("schedule tried")
        found = fidelity(sample, self._references[index], measure_flip=False).psnr_db
        return PSNR_CEILING_DB if found is None else found
