"""Finds a trace by what a command is given: a folder, or the name of a published workload."""

from pathlib import Path

from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Trace
from tenuto.traces.store import open_trace
from tenuto.traces.workloads import WORKLOADS


def trace_named(name: str, recipe: str, sparsity_from: Path | None = None) -> Trace:
    """Open a trace folder, or make the trace of a published workload.

    Args:
        name: A folder, or a workload.
        recipe: Of a workload.
        sparsity_from: A recorded trace whose tiles give a workload's sparsity.

    Raises:
        ValueError: Neither a folder nor a workload, an unknown recipe, or a trace folder with
            another one's sparsity.
        TraceFormatError: A folder is no finished trace.
    """
    if Path(name).is_dir():
        if sparsity_from is not None:
            raise ValueError(
                f"`--sparsity-from` must come with a workload's name, got the trace {name!r}"
            )
        return open_trace(name)
    if name not in WORKLOADS:
        raise ValueError(
            f"`trace` must be a trace folder or one of {sorted(WORKLOADS)}, got {name!r}"
        )
    statistics = None if sparsity_from is None else open_trace(sparsity_from)
    return scaled_trace(name, recipe, statistics=statistics)
