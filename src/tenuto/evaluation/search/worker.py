"""One process of a search: loads the pipeline once, then measures what it is told, one by one.

What processes share lies in the search's folder: untouched samples, and the Gram matrices that
forecasts are fitted to.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tenuto.algorithms.forecast_fit import channel_gram, fit_schedule
from tenuto.evaluation.calibrate import TAPS, WARMUP, probed_steps
from tenuto.evaluation.forecast_probes import dense_run, error_growth, forecast_costs, patterns
from tenuto.evaluation.generation import Workload, load_workload
from tenuto.evaluation.quality import PSNR_CEILING_DB, psnr_db
from tenuto.evaluation.samples import Plan, references_of
from tenuto.evaluation.search.setting import Setting
from tenuto.evaluation.timing import time_interleaved
from tenuto.integration.accelerate import accelerate
from tenuto.integration.calibration import Calibration, fingerprints, save_calibration
from tenuto.integration.composed import Composed
from tenuto.integration.families import family_of
from tenuto.integration.handle import Handle

Found = dict[str, Any]
"""What was measured, as plain values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What every process of a search knows.

    Attributes:
        model: As for `load_workload`, like the next three.
        num_steps: Of a run.
        seed: Of the first prompt's noise.
        scheduler: None is the model's own.
        prompts: Prompt number i is drawn with seed + i.
        num_fitted: Prompts from the first on to which forecasts are fitted.
        max_gap: Most steps from one dense step to the next.
        folder: Of the search.
    """

    model: str
    num_steps: int
    seed: int
    scheduler: str | None
    prompts: tuple[str, ...]
    num_fitted: int
    max_gap: int
    folder: Path

    def __post_init__(self) -> None:
        for name, least in (("max_gap", 2), ("num_fitted", 1), ("num_steps", WARMUP + 2)):
            if getattr(self, name) < least:
                option = {"num_fitted": "prompts", "num_steps": "steps", "max_gap": "max-gap"}[name]
                raise ValueError(
                    f"`--{option}` must be at least {least} for a search, got {getattr(self, name)}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to measure.

    Attributes:
        key: Unique in the search.
        measure: A function of this module.
        arguments: Its arguments.
    """

    key: str
    measure: Callable[..., Found]
    arguments: tuple[Any, ...]


def begin(site: Site) -> None:
    """Make this process ready. One thread: results do not depend on how many processes run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's affair
    torch.set_num_threads(1)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    _here.append(site)


def perform(job: Job) -> Found:
    """Do a job in this process."""
    return job.measure(*job.arguments)


def describe() -> Found:
    """Return what the transformer is: fingerprints, and the number of its blocks."""
    pipe = _workload().pipe
    model, scheduler = fingerprints(pipe)
    num_blocks = len(family_of(pipe.transformer).blocks_of(pipe.transformer))
    return {"model": model, "scheduler": scheduler, "num_blocks": num_blocks}


def fit_one(index: int) -> Found:
    """Run one prompt untouched; keep the inner products of what its blocks add."""
    site = _here[0]
    increments = dense_run(_workload(), site.prompts[index], index).increments
    gram = torch.stack([channel_gram(i.flatten(1, 2)) for i in increments.values()]).sum(0)
    site.folder.mkdir(parents=True, exist_ok=True)
    partial = _gram_file(site, index).with_suffix(f".{os.getpid()}.partial")
    save_file({"gram": gram.contiguous()}, partial)
    partial.replace(_gram_file(site, index))
    return {}


def probe_one(index: int) -> Found:
    """Try every forecast on one prompt, and follow errors at a few steps to its sample.

    Returns:
        Costs in the order of `patterns`; growth of an error at each step.
    """
    site, workload = _here[0], _workload()
    wanted = list(patterns(site.num_steps, TAPS, site.max_gap, WARMUP))
    gram = total_gram(site)
    run = dense_run(workload, site.prompts[index], index, keeps_calls=True)
    costs = forecast_costs(workload, gram, run, wanted)
    prompt = site.prompts[index], index
    growth = error_growth(workload, gram, prompt, run, costs, probed_steps(site.num_steps))
    return {
        "costs": [costs[pattern] for pattern in wanted],
        "growth": [growth[step] for step in range(site.num_steps)],
    }


def draw_untouched(index: int) -> Found:
    """Draw one prompt untouched, for others to compare with."""
    _reference(index)
    return {}


def measure_one(setting: Setting, index: int) -> Found:
    """Draw one prompt under a setting; compare it with the untouched sample."""
    workload, reference = _workload(), _reference(index)
    with _applied(setting) as handle:
        sample = workload.generate(_here[0].prompts[index], index)
        stats = handle.stats()
    psnr = psnr_db(sample, reference)
    return {
        "psnr_db": PSNR_CEILING_DB if psnr is None else psnr,
        "macs_ratio": stats.macs_ratio,
        "state_bytes": stats.state_bytes_peak,
    }


def time_all(settings: tuple[Setting, ...], index: int, num_runs: int) -> Found:
    """Time settings and the untouched pipeline in turn on one prompt.

    Returns:
        Of each setting, the median over rounds of untouched seconds over its own. Weights are
        fitted before; that a file is read and the pipeline hooked is in the time.
    """
    workload, prompt = _workload(), _here[0].prompts[index]

    def run(path: Path) -> Callable[[], object]:
        def generate() -> object:
            with accelerate(workload.pipe, Composed(schedule=str(path))):
                return workload.generate(prompt, index)

        return generate

    with ExitStack() as files:
        candidates: dict[str, Callable[[], object]] = {
            "untouched": lambda: workload.generate(prompt, index),
            **{one.key: run(files.enter_context(_written(one))) for one in settings},
        }
        untouched, *others = time_interleaved(candidates, num_runs=num_runs).timings
    ratios = [
        [a / b for a, b in zip(untouched.runs_s, timing.runs_s, strict=True)] for timing in others
    ]
    return {"speedup": [median(ratio) for ratio in ratios], "seconds": fmean(untouched.runs_s)}


def total_gram(site: Site) -> Tensor:
    """Return the sum of all prompts' inner products: (channels, steps, steps)."""
    grams = [load_file(_gram_file(site, i))["gram"] for i in range(site.num_fitted)]
    return torch.stack(grams).sum(0)


def calibration_of(site: Site, pipe: Any, setting: Setting, notes: dict[str, Any]) -> Calibration:
    """Return a setting as the file that `Composed` names."""
    model, scheduler = fingerprints(pipe)
    weights = None
    if setting.is_fitted:
        weights = fit_schedule(total_gram(site), [ratio == 0 for ratio in setting.ratios], TAPS)
    return Calibration(
        model=model,
        scheduler=scheduler,
        ratios=setting.ratios,
        forecast_weights=weights,
        techniques=setting.settings(),
        notes=notes,
    )


@contextmanager
def _applied(setting: Setting) -> Iterator[Handle]:
    """Accelerate the pipeline by a setting as its user would: from a file."""
    pipe = _workload().pipe
    with _written(setting) as path, accelerate(pipe, Composed(schedule=str(path))) as handle:
        yield handle


@contextmanager
def _written(setting: Setting) -> Iterator[Path]:
    """Write a setting's file; it is gone after the with block."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "setting.safetensors"
        save_calibration(calibration_of(_here[0], _workload().pipe, setting, {}), path)
        yield path


_here: list[Site] = []


@cache
def _workload() -> Workload:
    site = _here[0]
    return load_workload(
        site.model, num_steps=site.num_steps, seed=site.seed, scheduler=site.scheduler
    )


def _reference(index: int) -> Tensor:
    site = _here[0]
    site.folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(workload=_workload(), contenders=(), prompts=site.prompts, folder=site.folder)
    return references_of(plan, lambda done: None, {index})[0]


def _gram_file(site: Site, index: int) -> Path:
    return site.folder / f"inner-products-{index}.safetensors"
