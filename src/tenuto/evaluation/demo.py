"""The main job in one go: the embedded video model with and without tenuto, and a report."""

from dataclasses import replace
from pathlib import Path

from tenuto import zoo
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import load_workload
from tenuto.evaluation.samples import Plan

DEMO_SPECS = (
    "fewer-steps:20",
    "dito:schedule=emoji-video-unipc40-2x,predict=fitted",
    "orbis",
    "ffn-reuse",
    "dito:schedule=emoji-video-unipc40-2x,predict=fitted+ffn-reuse:interval=2",
)
"""Rows of the demo: the control, each of our techniques alone, two of them composed."""


NOT_COMPARED = "ffn-reuse:sparsity=0.7,interval=4,granularity=element,warmup=1+eager:keep_ratio=0.3"
"""EXION's two techniques together, as its hardware skips elements and scores. Emulated, and three
to four times as slow as the untouched model: a few steps of it are mapped, not compared."""
_STEPS_NOT_COMPARED = 10


def demo_plan(folder: Path, num_prompts: int, num_timed_runs: int) -> Plan:
    """Return what `tenuto demo` compares.

    Args:
        folder: Result folder.
        num_prompts: Captions of the embedded video model.
        num_timed_runs: Interleaved timed runs.
    """
    workload = load_workload("emoji-video", num_steps=40)
    return Plan(
        workload=workload,
        contenders=tuple(contender(spec) for spec in DEMO_SPECS),
        prompts=tuple(zoo.prompts("emoji-video", "seen", num_prompts)),
        folder=folder,
        num_timed_runs=num_timed_runs,
        command="tenuto demo",
        only_mapped=(replace(contender(NOT_COMPARED), num_steps=_STEPS_NOT_COMPARED),),
    )
