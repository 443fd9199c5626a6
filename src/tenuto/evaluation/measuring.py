"""One sample of one contender: draw it, compare it with the untouched one, count what it took."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from tenuto.errors import MissingExtraError
from tenuto.evaluation.contenders import Contender, StatsOf
from tenuto.evaluation.generation import Workload
from tenuto.evaluation.quality import fidelity
from tenuto.evaluation.reading import reading_of
from tenuto.integration.macs import MacCounter


def draw_and_measure(
    workload: Workload,
    contender: Contender,
    stats_of: StatsOf,
    caption: tuple[str, int],
    reference: Tensor,
) -> tuple[Tensor, dict[str, Any]]:
    """Return a sample and its line in ``samples.jsonl`` without spec and prompt.

    Args:
        workload: Pipeline, steps, seed.
        contender: Already applied to the pipeline.
        stats_of: What it counted so far.
        caption: What to draw, and its number.
        reference: The untouched sample.
    """
    counter = None if stats_of() is not None else MacCounter(workload.pipe.transformer)
    if counter is not None:
        counter.start()
    try:
        sample = workload.generate(*caption, contender.num_steps)
    finally:
        table = None if counter is None else counter.stop()
    stats = stats_of()
    return sample, {
        **_fidelity(sample, reference),
        "stats": None if stats is None else stats.to_dict(),
        "macs": None if table is None else table.total,
        "reading": reading_of(workload.model, sample, caption[0]),
    }


def running_total(stats: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what one handle would have counted that drew all these samples.

    Args:
        stats: `Stats` as plain values, of handles that drew one sample each; at least one.
    """
    largest, first = ("modules_hooked", "state_bytes_peak"), stats[0]
    total: dict[str, Any] = {}
    for name in first:
        values = [each[name] for each in stats]
        if name == "dense_reasons":
            total[name] = dict(sum((Counter(value) for value in values), Counter()))
        else:
            total[name] = max(values) if name in largest else sum(values)
    return total


def _fidelity(sample: Tensor, reference: Tensor) -> dict[str, Any]:
    try:
        return asdict(fidelity(sample, reference))
    except MissingExtraError:
        return asdict(fidelity(sample, reference, measure_flip=False))
