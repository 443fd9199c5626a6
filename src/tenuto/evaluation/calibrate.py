"""Measure a model on dense runs, choose a schedule from what was seen, save both.

Two methods. ``pmr`` is DiTo's: when do pairs stop agreeing. ``forecast`` is ours: how well can each
step be forecast from which earlier ones, and what does an error at that step cost in the end.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from tenuto.algorithms.forecast_fit import channel_gram, fit_schedule
from tenuto.algorithms.schedule import pmr_schedule
from tenuto.algorithms.schedule_search import best_dense_steps, num_dense_steps
from tenuto.evaluation.forecast_probes import (
    Pattern,
    dense_run,
    error_growth,
    forecast_costs,
    patterns,
    predicted_cost,
)
from tenuto.evaluation.generation import Workload
from tenuto.evaluation.machine import versions
from tenuto.evaluation.maps import pair_match_ratios
from tenuto.evaluation.samples import Progress
from tenuto.integration.calibration import Calibration, fingerprints, save_calibration

TAPS = 3
"""Dense outputs that a fitted forecast weighs."""

WARMUP = 3
"""First steps that stay dense: outputs change most there, and forecasts need a past."""

NUM_PROBES = 2
"""Prompts, apart from those that forecasts are fitted on, on which they are tried."""

NUM_PROBED_STEPS = 8
"""Steps at which the growth of an error is measured; the others are interpolated."""


def calibrate_forecast(
    workload: Workload,
    prompts: tuple[str, ...],
    speeds: tuple[float, ...],
    max_gap: int,
    out: Path,
    progress: Progress = lambda done: None,
) -> str:
    """Fit forecasts to dense runs, choose the dense steps of each budget, save calibrations.

    Args:
        workload: Model, steps, scheduler, seed.
        prompts: More than `NUM_PROBES`; the last ones try what is fitted on the others.
        speeds: Wanted speed-ups, >= 1; one calibration each.
        max_gap: Most steps from one dense step to the next, >= 2.
        out: The calibration; with several speeds each adds its own to the name.
        progress: Called after each run.

    Returns:
        What was chosen, in words.

    Raises:
        ValueError: An argument is out of its range.

    Source: ours.
    """
    for speed in speeds:
        num_dense_steps(workload.num_steps, speed)
    found = forecastable(workload, prompts, max_gap, progress)
    texts = [f"a predicted step takes {found.predicted_cost:.1%} of a dense one"]
    for speed in speeds:
        path = out if len(speeds) == 1 else out.with_name(f"{out.stem}-{speed:g}x{out.suffix}")
        num_dense = num_dense_steps(workload.num_steps, speed, found.predicted_cost)
        ratios = found.schedule(num_dense)
        save_calibration(found.calibration(workload, ratios, {"speed": speed}), path)
        dense = f"{ratios.count(0.0)} of {len(ratios)} steps dense {drawn(ratios)}"
        texts.append(f"{speed:g}x: {dense}, wrote {path}")
    return "\n".join(texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecastable:
    """What dense runs showed: how well steps can be forecast, what errors grow to, what it costs.

    Attributes:
        num_steps: Of the runs.
        max_gap: Most steps from one dense step to the next.
        gram: Of the increments, see `channel_gram`.
        costs: Error of each forecast.
        growth: Of an error at each step until the end.
        predicted_cost: Time of a predicted step over that of a dense one.
    """

    num_steps: int
    max_gap: int
    gram: Tensor
    costs: dict[Pattern, float]
    growth: dict[int, float]
    predicted_cost: float

    def schedule(self, num_dense: int) -> tuple[float, ...]:
        """Return the best ratios by step with so many dense steps."""
        is_dense = best_dense_steps(
            self.num_steps,
            num_dense,
            lambda step, known: self.growth[step] * self.costs[step, known],
            taps=TAPS,
            max_gap=self.max_gap,
            warmup=WARMUP,
        )
        return tuple(0.0 if dense else 1.0 for dense in is_dense)

    def speed(self, ratios: tuple[float, ...]) -> float:
        """Return the speed-up that a schedule should have."""
        num_dense = ratios.count(0.0)
        return self.num_steps / (num_dense + (self.num_steps - num_dense) * self.predicted_cost)

    def calibration(
        self, workload: Workload, ratios: tuple[float, ...], notes: dict[str, Any]
    ) -> Calibration:
        """Return a schedule with the weights fitted to it."""
        weights = fit_schedule(self.gram, [ratio == 0 for ratio in ratios], TAPS)
        notes = {"method": "forecast", "max_gap": self.max_gap, **notes}
        return _calibration(workload, ratios, notes, weights=weights)


def drawn(ratios: tuple[float, ...]) -> str:
    """Return a schedule as a line: ``#`` is a dense step."""
    return "".join("#" if ratio == 0 else "." for ratio in ratios)


def forecastable(
    workload: Workload, prompts: tuple[str, ...], max_gap: int, progress: Progress
) -> Forecastable:
    """Fit forecasts to dense runs, try them on the last `NUM_PROBES` prompts.

    Raises:
        ValueError: There are too few prompts, or `max_gap` is below 2.
    """
    if len(prompts) <= NUM_PROBES:
        raise ValueError(f"`prompts` must be more than {NUM_PROBES}, got {len(prompts)}")
    if max_gap < 2:
        raise ValueError(f"`max_gap` must be at least 2, got {max_gap!r}")
    gram: Any = 0
    for index, prompt in enumerate(prompts[:-NUM_PROBES]):
        for increments in dense_run(workload, prompt, index).increments.values():
            gram = gram + channel_gram(increments.flatten(1, 2))
        progress("dense run")
    return _probe(workload, gram, prompts, max_gap, progress)


def _probe(
    workload: Workload,
    gram: Tensor,
    prompts: tuple[str, ...],
    max_gap: int,
    progress: Progress,
) -> Forecastable:
    """Try every forecast, follow errors to the sample, time a predicted step."""
    wanted = list(patterns(workload.num_steps, TAPS, max_gap, WARMUP))
    probed = probed_steps(workload.num_steps)
    costs: list[dict[Pattern, float]] = []
    growths: list[dict[int, float]] = []
    shares: list[float] = []
    for index in range(len(prompts) - NUM_PROBES, len(prompts)):
        run = dense_run(workload, prompts[index], index, keeps_calls=True)
        costs.append(forecast_costs(workload, gram, run, wanted))
        shares.append(predicted_cost(workload, run))
        progress("forecasts tried")
        growths.append(
            error_growth(workload, gram, (prompts[index], index), run, costs[-1], probed)
        )
        progress("errors followed")
    mean_costs = {pattern: fmean(cost[pattern] for cost in costs) for pattern in wanted}
    growth = {k: fmean(g[k] for g in growths) for k in growths[0]}
    return Forecastable(
        num_steps=workload.num_steps,
        max_gap=max_gap,
        gram=gram,
        costs=mean_costs,
        growth=growth,
        predicted_cost=min(shares),
    )


def probed_steps(num_steps: int) -> list[int]:
    """Return the steps at which the growth of an error is measured.

    >>> probed_steps(40)
    [3, 8, 13, 18, 24, 29, 34, 39]
    """
    span = num_steps - 1 - WARMUP
    return sorted(
        {WARMUP + round(i * span / (NUM_PROBED_STEPS - 1)) for i in range(NUM_PROBED_STEPS)}
    )


def calibrate_pmr(
    workload: Workload,
    prompts: tuple[str, ...],
    threshold: float,
    max_gap: int,
    out: Path,
    progress: Progress = lambda done: None,
) -> str:
    """Measure the Pair Match Ratio between all steps, derive Matching steps, save the calibration.

    Args:
        workload: Model, steps, scheduler, seed.
        prompts: One dense run each.
        threshold: Match again where the ratio falls below, [0, 1].
        max_gap: Most steps between Matching steps, >= 1.
        out: The calibration; it holds the whole table.
        progress: Called after each run.

    Returns:
        What was found, in words.

    Source: DiTo (arXiv 2605.22011), PMR-guided interval scheduling; see `pmr_schedule`.
    """
    tables = []
    for index, prompt in enumerate(prompts):
        tables.append(pair_match_ratios(workload, prompt, index))
        progress("dense run")
    pmr = torch.stack(tables).mean(0)
    table = pmr_schedule(
        pmr.tolist(), ratio=1.0, threshold=threshold, max_gap=max_gap, warmup=WARMUP
    )
    ratios = tuple(row[0] for row in (table.row(k, 1) for k in range(len(table.steps))))
    notes = {"method": "pmr", "threshold": threshold, "max_gap": max_gap, "prompts": len(prompts)}
    save_calibration(_calibration(workload, ratios, notes, pmr=pmr), out)
    return (
        f"PMR of neighbouring steps {pmr.diagonal(1).mean():.3f}, "
        f"{ratios.count(0.0)} of {len(ratios)} steps match: {drawn(ratios)}\nwrote {out}"
    )


def _calibration(
    workload: Workload,
    ratios: tuple[float, ...],
    notes: dict[str, Any],
    *,
    pmr: Tensor | None = None,
    weights: Tensor | None = None,
) -> Calibration:
    model, scheduler = fingerprints(workload.pipe)
    return Calibration(
        model=model,
        scheduler=scheduler,
        ratios=ratios,
        pmr=pmr,
        forecast_weights=weights,
        notes={**notes, "model": workload.model, "versions": versions()},
    )
