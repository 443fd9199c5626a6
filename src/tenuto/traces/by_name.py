"""Finds a trace by what a command is given: a folder, or the name of a published workload."""

from pathlib import Path

from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Trace
from tenuto.traces.store import open_trace
from tenuto.traces.workloads import WORKLOADS


def trace_named(name: str, recipe: str) -> Trace:
    """Open a trace folder, or make the trace of a published workload.

    Raises:
        ValueError: Neither a folder nor a workload, or an unknown recipe.
        TraceFormatError: The folder is no finished trace.
    """
    if Path(name).is_dir():
        return open_trace(name)
    if name not in WORKLOADS:
        raise ValueError(
            f"`trace` must be a trace folder or one of {sorted(WORKLOADS)}, got {name!r}"
        )
    return scaled_trace(name, recipe)
