"""Killed at any stage (signal 9), the same command goes on or starts anew, with the same result.

A child is forked off the loaded test process and kills itself at its nth event; events are reports
of progress, lines appended to the samples, and files put in their places. Sweeps are killed in
tests/unit/accelerators/test_sweep.py, trainings by `make zoo-smoke`.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tenuto.evaluation import samples
from tenuto.evaluation.calibrate import calibrate_pmr
from tenuto.evaluation.compare import compare
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import Workload, load_workload
from tenuto.evaluation.samples import Plan
from tenuto.integration.calibration import load_calibration

pytestmark = pytest.mark.slow

CAPTIONS = ("a heart over the sky", "a frog over the sea")
TIMES = ("created", "matching_s")


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load_workload("emoji-image", num_steps=4)


class Killer:
    """Counts events and kills its process at the nth."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        for name in ("replace", "rename"):
            self._watch(os, name)
        self._watch(samples.Samples, "add")

    def _watch(self, owner: Any, name: str) -> None:
        inner = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.event()
            result = inner(*args, **kwargs)
            self.event()
            return result

        setattr(owner, name, watched)

    def event(self, *_: object) -> None:
        """One more thing happened."""
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def is_killed_at(nth: int, job: Callable[[Callable[..., None]], object]) -> bool:
    """Run a job in a child that is killed at its nth event; False where it ended before that."""

    def child() -> None:
        torch.set_num_threads(1)
        job(Killer(nth).event)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(300)
    assert process.exitcode in (0, -signal.SIGKILL), f"the child ended with {process.exitcode}"
    return process.exitcode != 0


def without_times(result: dict[str, Any]) -> Any:
    """A comparison without what a clock says and without running totals of one handle.

    Counts of a handle run on from sample to sample; a resumed run begins them anew.
    """
    rows = [{k: v for k, v in row.items() if k not in TIMES} for row in result["rows"]]
    for row in rows:
        row.pop("dense_reasons")
    return {**{k: v for k, v in result.items() if k not in TIMES}, "rows": rows}


def test_a_comparison_that_was_killed_anywhere_ends_with_the_same_result(workload, tmp_path):
    def job(folder: Path, progress: Callable[..., None] = lambda done: None) -> dict[str, Any]:
        rivals = ("fewer-steps:2", "dito:warmup=1,interval=2")
        contenders = tuple(contender(spec) for spec in rivals)
        plan = Plan(
            workload=workload, contenders=contenders, prompts=CAPTIONS, folder=folder,
            num_timed_runs=0,
        )  # fmt: skip
        return compare(plan, progress)

    expected = without_times(job(tmp_path / "whole"))
    stages = 0
    while True:
        folder = tmp_path / str(stages)
        if not is_killed_at(stages + 1, lambda event, folder=folder: job(folder, event)):
            break
        assert without_times(job(folder)) == expected, f"killed at event {stages + 1}"
        assert not list(folder.glob("*.partial"))
        stages += 1

    assert stages >= 20


def test_a_calibration_that_was_killed_anywhere_starts_anew_with_the_same_result(
    workload, tmp_path
):
    def job(out: Path, progress: Callable[..., None] = lambda done: None) -> None:
        calibrate_pmr(workload, CAPTIONS, 0.6, 3, out, progress)

    job(tmp_path / "whole.safetensors")
    expected = load_calibration(str(tmp_path / "whole.safetensors"))
    stages = 0
    while True:
        out = tmp_path / f"{stages}.safetensors"
        if not is_killed_at(stages + 1, lambda event, out=out: job(out, event)):
            break
        if out.exists():  # then it is whole
            load_calibration(str(out))
        job(out)
        found = load_calibration(str(out))
        assert (found.ratios, found.notes) == (expected.ratios, expected.notes)
        assert torch.equal(found.pmr, expected.pmr)
        stages += 1

    assert stages >= 4


def test_a_line_cut_by_a_kill_costs_no_other_sample(workload, tmp_path):
    """The next line must not be glued to what is left of the one before."""
    contenders = (contender("fewer-steps:2"), contender("fewer-steps:3"))
    plan = Plan(
        workload=workload, contenders=contenders, prompts=CAPTIONS[:1], folder=tmp_path,
        num_timed_runs=0,
    )  # fmt: skip
    (tmp_path / "samples.jsonl").write_text('{"spec": "cut sho')
    compare(plan)

    lines = (tmp_path / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["spec"] for line in lines[1:]] == ["fewer-steps:2", "fewer-steps:3"]
