"""Dense runs, taken apart: how well each step can be forecast, and what an error there costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, log
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.forecast import weighted_sum
from tenuto.algorithms.forecast_fit import fit_forecast, fit_schedule
from tenuto.evaluation.generation import Workload
from tenuto.integration.accelerate import accelerate
from tenuto.integration.calibration import Calibration, fingerprints, save_calibration
from tenuto.integration.recorder import Sight, recording
from tenuto.integration.replay import replaying

TAPS_TIMED = 3
NUM_TIMED = 7

Pattern = tuple[int, tuple[int, ...]]
"""A step to forecast, and the dense steps to forecast it from, newest first."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseRun:
    """One untouched run.

    Attributes:
        increments: For each guidance branch, what all blocks together add to the image stream:
            (steps, batch, tokens, channels).
        calls: For each branch and step, the transformer's arguments and its output.
        sample: (frames, 3, height, width) in [0, 1].
    """

    increments: dict[int, Tensor]
    calls: dict[int, list[tuple[tuple[Any, ...], dict[str, Any], Tensor]]]
    sample: Tensor


def dense_run(workload: Workload, prompt: str, index: int, keeps_calls: bool = False) -> DenseRun:
    """Generate one sample and keep what the blocks did.

    Args:
        workload: What to run.
        prompt: Caption.
        index: Added to the seed.
        keeps_calls: Also keep every call of the transformer, for `forecast_costs`.
    """
    seen: dict[int, list[Tensor]] = {}
    calls: dict[int, list[tuple[tuple[Any, ...], dict[str, Any], Tensor]]] = {}
    branch = 0

    def see(sight: Sight) -> None:
        nonlocal branch
        if sight.part == "stack":
            branch = sight.moment.branch
            seen.setdefault(branch, []).append(sight.tokens)

    def keep(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        tensor = output[0] if isinstance(output, tuple) else output.sample
        calls.setdefault(branch, []).append((args, dict(kwargs), tensor))

    model = workload.pipe.transformer
    hook = model.register_forward_hook(keep, with_kwargs=True) if keeps_calls else None
    try:
        with recording(workload.pipe, see):
            sample = workload.generate(prompt, index)
    finally:
        if hook is not None:
            hook.remove()
    return DenseRun({b: torch.stack(tokens) for b, tokens in seen.items()}, calls, sample)


def patterns(num_steps: int, taps: int, max_gap: int, warmup: int) -> Iterator[Pattern]:
    """Yield every way in which a step can follow its last `taps` dense steps.

    >>> len(list(patterns(40, 3, 4, 3)))
    1584
    """
    gaps = [range(1, max_gap), *[range(1, max_gap + 1)] * (taps - 1)]
    for step, spacing in product(range(warmup, num_steps), product(*gaps)):
        known = [step - sum(spacing[: i + 1]) for i in range(taps)]
        # Steps of the warm-up are dense, so the oldest known ones are never further apart there.
        if known[-1] >= 0:
            yield step, tuple(known)


@torch.no_grad()
def forecast_costs(
    workload: Workload, gram: Tensor, run: DenseRun, wanted: Sequence[Pattern]
) -> dict[Pattern, float]:
    """Return the mean squared error of the transformer's output under each forecast.

    Everything but the blocks runs, so this is what the sampler would see.

    Args:
        workload: The model.
        gram: Of the runs that the forecasts are fitted on, see `channel_gram`.
        run: Another run, with its calls.
        wanted: Forecasts to try.
    """
    model = workload.pipe.transformer
    costs: dict[Pattern, float] = {}
    with replaying(model) as replay:
        for step, known in wanted:
            weights = fit_forecast(gram, step, known)
            error = 0.0
            for branch, increments in run.increments.items():
                args, kwargs, output = run.calls[branch][step]
                replay.increment = (increments[list(known)] * weights[:, None, None]).sum(0)
                found = model(*args, **kwargs)
                tensor = found[0] if isinstance(found, tuple) else found.sample
                error += float((tensor - output).square().mean())
            costs[step, known] = error / len(run.increments)
    return costs


@torch.no_grad()
def predicted_cost(workload: Workload, run: DenseRun) -> float:
    """Return the time of a call whose blocks are forecast over that of a dense call, measured."""
    model = workload.pipe.transformer
    args, kwargs, _ = run.calls[0][-1]
    known = run.increments[0][-TAPS_TIMED:]
    weights = torch.full((TAPS_TIMED, known.shape[-1]), 1 / TAPS_TIMED)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    with replaying(model) as replay:
        for _ in range(NUM_TIMED):
            for is_dense in (True, False):
                start = perf_counter()
                replay.increment = None if is_dense else weighted_sum(list(known), weights)
                model(*args, **kwargs)
                seconds[is_dense].append(perf_counter() - start)
    return median(seconds[False]) / median(seconds[True])


def error_growth(
    workload: Workload,
    gram: Tensor,
    prompt: tuple[str, int],
    run: DenseRun,
    costs: Mapping[Pattern, float],
    probed: Sequence[int],
) -> dict[int, float]:
    """Return how much an error of the transformer's output at a step counts in the sample.

    Measured by forecasting that one step only; between probed steps, interpolated.

    Args:
        workload: What to run.
        gram: For the fitted forecasts.
        prompt: Caption and index of `run`.
        run: The untouched run.
        costs: With the forecast from the steps right before each probed step.
        probed: Steps to try, rising.

    Returns:
        Mean squared error of the sample for each unit of it at the step, for all steps.
    """
    measured = {}
    num_steps = workload.num_steps
    taps = len(next(iter(costs))[1])
    for step in probed:
        is_dense = [k != step for k in range(num_steps)]
        with TemporaryDirectory() as folder:
            path = Path(folder) / "one-step.safetensors"
            model, scheduler = fingerprints(workload.pipe)
            save_calibration(
                Calibration(
                    model=model,
                    scheduler=scheduler,
                    ratios=tuple(0.0 if dense else 1.0 for dense in is_dense),
                    forecast_weights=fit_schedule(gram, is_dense, taps),
                    notes={},
                ),
                path,
            )
            with accelerate(workload.pipe, DiTo(schedule=str(path), predict="fitted")):
                sample = workload.generate(*prompt)
        known = tuple(range(step - 1, step - 1 - taps, -1))
        error = float((sample - run.sample).square().mean())
        measured[step] = error / max(costs[step, known], 1e-12)
    return {step: _interpolated(measured, step) for step in range(num_steps)}


def _interpolated(measured: Mapping[int, float], step: int) -> float:
    """Interpolate the logarithm between probed steps; hold it outside them."""
    below = [k for k in measured if k <= step]
    above = [k for k in measured if k >= step]
    if not below or not above:
        return measured[min(measured) if not below else max(measured)]
    low, high = max(below), min(above)
    share = 0.0 if low == high else (step - low) / (high - low)
    values = [log(max(measured[k], 1e-12)) for k in (low, high)]
    return exp(values[0] * (1 - share) + values[1] * share)
