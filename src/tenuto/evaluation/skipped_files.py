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
from tenuto.evaluation.writing import written_whole
from tenuto.integration.families import FAMILIES
from tenuto.integration.handle import observing


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
    return _recorded(plan, contender, SkippedWork(model, steps))


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


def save_skipped(plan: Plan, contender: Contender, content: dict[str, Any]) -> None:
    """Write what one row left out; the file appears whole or not at all."""
    file = _file(plan, contender)
    file.parent.mkdir(exist_ok=True)
    with written_whole(file, is_shared=True) as stream:
        stream.write(json.dumps(content, separators=(",", ":")).encode())


@contextmanager
def _recorded(plan: Plan, contender: Contender, work: SkippedWork) -> Iterator[None]:
    with observing(plan.workload.pipe.transformer, work):
        yield
    save_skipped(plan, contender, {"technique": contender.spec, **work.to_dict()})


def _file(plan: Plan, contender: Contender) -> Path:
    return plan.folder / "skipped" / f"{contender.slug}.json"
