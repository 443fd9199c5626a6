"""What the rows of a comparison left out, in files of its folder: one for each row.

A row's file is written by the run on the first caption, before its sample counts as measured.
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tenuto.evaluation.contenders import Contender
from tenuto.evaluation.samples import Plan
from tenuto.evaluation.skipped import SkippedWork
from tenuto.integration.families import FAMILIES
from tenuto.integration.handle import watching


def watched(plan: Plan, contender: Contender, index: int) -> AbstractContextManager[None]:
    """Record what a contender leaves out in the with block, if this is the run to record.

    Args:
        plan: Names the pipeline and the folder.
        contender: In force on the pipeline.
        index: Number of the caption; the first is recorded.
    """
    model = plan.workload.pipe.transformer
    if index != 0 or not contender.techniques or type(model).__name__ not in FAMILIES:
        return nullcontext()
    steps = contender.num_steps or plan.workload.num_steps
    return _recorded(model, steps, contender.spec, _file(plan, contender))


def read_skipped(plan: Plan) -> list[dict[str, Any]]:
    """Return what was recorded, in the order of the rows."""
    files = [_file(plan, contender) for contender in (*plan.contenders, *plan.only_mapped)]
    return [json.loads(file.read_text("utf-8")) for file in files if file.exists()]


def record_only_mapped(plan: Plan) -> Iterator[str]:
    """Run what is mapped but not compared, where its file is missing; yields each one's spec."""
    for contender in plan.only_mapped:
        if not _file(plan, contender).exists():
            with contender.applied(plan.workload.pipe), watched(plan, contender, 0):
                plan.workload.generate(plan.prompts[0], 0, contender.num_steps)
        yield contender.spec


@contextmanager
def _recorded(model: Any, num_steps: int, spec: str, file: Path) -> Iterator[None]:
    work = SkippedWork(model, num_steps)
    with watching(model, work):
        yield
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(_compact({"technique": spec, **work.to_dict()}), "utf-8")
    partial.replace(file)


def _compact(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))


def _file(plan: Plan, contender: Contender) -> Path:
    return plan.folder / "skipped" / f"{contender.slug}.json"
