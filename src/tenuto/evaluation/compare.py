"""Fidelity and speed of several contenders against the untouched pipeline, prompt by prompt.

Every measured sample is appended to ``samples.jsonl`` in the result folder at once; a comparison
that was interrupted goes on where it stopped.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor

from tenuto.evaluation.contenders import Contender
from tenuto.evaluation.generation import Workload
from tenuto.evaluation.machine import this_machine, versions
from tenuto.evaluation.maps import block_maps
from tenuto.evaluation.measuring import draw_and_measure
from tenuto.evaluation.reading import reading_of, readings_row
from tenuto.evaluation.rows import Untouched, result_row
from tenuto.evaluation.samples import Plan, Progress, Samples, keep_clip, references_of
from tenuto.evaluation.skipped_files import read_skipped, record_only_mapped, watched
from tenuto.evaluation.timing import TimingReport, time_interleaved
from tenuto.evaluation.writing import write_whole
from tenuto.integration.families import FAMILIES
from tenuto.integration.macs import MacCounter


def compare(
    plan: Plan, progress: Progress = lambda done: None, measure_all: "Measure | None" = None
) -> dict[str, Any]:
    """Run a comparison and write ``compare.json`` and the clips into its folder.

    Args:
        plan: What to compare.
        progress: Called after each sample and timed run.
        measure_all: Draws and measures the samples; None is `measure`, in this process.

    Returns:
        What compare.json holds; its form is fixed in docs/results.md.

    Raises:
        ResultError: The folder holds an unfinished comparison of something else.
    """
    samples, references = (measure_all or measure)(plan, progress)
    shown = [
        reading_of(plan.workload.model, reference, prompt)
        for reference, prompt in zip(references, plan.prompts, strict=True)
    ]
    timing = _time(plan, progress) if plan.num_timed_runs else None
    untouched = Untouched(plan.workload.num_steps, _dense_macs(plan.workload, plan.prompts[0]))
    repeated = plan.workload.generate(plan.prompts[0], 0)
    progress("repeated")
    rows = [
        result_row(
            c, samples.of(c), None if timing is None else timing[c.spec], timing, untouched, shown
        )
        for c in plan.contenders
    ]
    result = {
        "schema": 1,
        "command": plan.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": asdict(this_machine()),
        "versions": versions(),
        "model": plan.workload.model,
        "reference": {
            **_reference_facts(plan, timing, untouched.macs),
            "repeat_identical": torch.equal(repeated, references[0]),
            "caption_accuracy": readings_row(shown, shown)["caption_accuracy"],
        },
        "prompts": list(plan.prompts),
        **dict(plan.notes),
        "rows": rows,
    }
    for spec in record_only_mapped(plan):
        progress(spec)
    maps = _maps(plan)
    progress("maps")
    write_whole(plan.folder / "maps.json", json.dumps(maps, separators=(",", ":")))
    write_whole(plan.folder / "compare.json", json.dumps(result, indent=1))
    return result


def measure(
    plan: Plan, progress: Progress, only: Collection[int] | None = None
) -> "tuple[Samples, list[Tensor]]":
    """Generate and measure what is still missing in the folder; time nothing.

    Several processes may do this at once, each with other contenders of the same comparison.

    Args:
        plan: What to measure.
        progress: Called after each sample.
        only: Numbers of the prompts, for a process that does a share of them; None is all.
    """
    (plan.folder / "clips").mkdir(parents=True, exist_ok=True)
    samples = Samples(plan)
    references = references_of(plan, progress, only)
    for contender in plan.contenders:
        if contender.prepare is not None:
            contender.prepare(plan.workload)
        _measure_contender(plan, contender, references, samples, progress)
    return samples, references


def num_progress(plan: Plan) -> int:
    """Return how often a comparison will report progress."""
    rows = 1 + len(plan.contenders)
    samples = rows * len(plan.prompts) + len(plan.only_mapped) + 2
    return samples + (rows * (plan.num_timed_runs + 1) if plan.num_timed_runs else 0)


def _measure_contender(
    plan: Plan,
    contender: Contender,
    references: Sequence[Tensor],
    samples: Samples,
    progress: Progress,
) -> None:
    """Generate every prompt that is still missing and measure it."""
    missing = [i for i, p in enumerate(plan.prompts) if samples.find(contender, p) is None]
    for _ in range(len(plan.prompts) - len(missing)):
        progress(contender.spec)
    if not missing:
        return
    with contender.applied(plan.workload.pipe) as stats_of:
        for index in missing:
            caption = plan.prompts[index], index
            with watched(plan, contender, index):
                sample, measured = draw_and_measure(
                    plan.workload, contender, stats_of, caption, references[index]
                )
            samples.add(contender, plan.prompts[index], measured)
            keep_clip(plan, contender.slug, index, sample)
            progress(contender.spec)


def _time(plan: Plan, progress: Progress) -> TimingReport:
    """Time the untouched pipeline and every contender in turn on the first prompt."""
    work = plan.workload

    def run(contender: Contender) -> Callable[[], object]:
        def generate() -> object:
            with contender.applied(work.pipe):
                return work.generate(plan.prompts[0], 0, contender.num_steps)

        return generate

    candidates: dict[str, Callable[[], object]] = {
        REFERENCE: lambda: work.generate(plan.prompts[0], 0)
    }
    candidates.update({c.spec: run(c) for c in plan.contenders})
    report = time_interleaved(candidates, num_runs=plan.num_timed_runs, on_run=progress)
    if report.was_interrupted:
        raise KeyboardInterrupt
    return report


Measure = Callable[[Plan, Progress], tuple[Samples, list[Tensor]]]
"""Makes the folder's samples complete; returns them, and the untouched ones by prompt."""

REFERENCE = "untouched"
"""Name of the untouched pipeline among the timed candidates."""


def _maps(plan: Plan) -> dict[str, Any]:
    """Return the maps of the report; none for a transformer whose blocks we do not know."""
    if type(plan.workload.pipe.transformer).__name__ not in FAMILIES:
        return {}
    return {**block_maps(plan.workload, plan.prompts[0]), "skipped": read_skipped(plan)}


def _dense_macs(work: Workload, prompt: str) -> int:
    """Count the multiply-accumulates of one untouched sample by a run of two steps."""
    counter = MacCounter(work.pipe.transformer)
    counter.start()
    try:
        work.generate(prompt, 0, 2)
    finally:
        table = counter.stop()
    return table.total * work.num_steps // 2


def _reference_facts(plan: Plan, timing: TimingReport | None, macs: int) -> dict[str, Any]:
    work = plan.workload
    timed = None if timing is None else timing[REFERENCE]
    return {
        "seconds_median": None if timed is None else timed.median_s,
        "seconds_min": None if timed is None else timed.min_s,
        "seconds_max": None if timed is None else timed.max_s,
        "macs": macs,
        "steps": work.num_steps,
        "scheduler": type(work.pipe.scheduler).__name__,
        "scheduler_order": work.pipe.scheduler.config.get("solver_order"),
        "seed": work.seed,
        "num_prompts": len(plan.prompts),
        "guidance_scale": work.arguments.get("guidance_scale"),
    }
