"""Traces: what a run computed, as counts. The only thing both halves of tenuto know.

A trace is a folder written once (`tenuto.traces.store`) or a published workload generated in memory
(`tenuto.traces.scaled`). Nothing here imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tenuto.traces.schema import Manifest, Matches, Operations, Part, Tiles, Trace

if TYPE_CHECKING:
    from tenuto.traces.macs import macs_done
    from tenuto.traces.scaled import scaled_trace
    from tenuto.traces.store import open_sample, sample_names, save
    from tenuto.traces.store import open_trace as open
    from tenuto.traces.writer import TraceWriter

__all__ = [
    "Manifest",
    "Matches",
    "Operations",
    "Part",
    "Tiles",
    "Trace",
    "TraceWriter",
    "macs_done",
    "open",
    "open_sample",
    "sample_names",
    "save",
    "scaled_trace",
]

_PLACES = {
    "macs_done": ("tenuto.traces.macs", "macs_done"),
    "open": ("tenuto.traces.store", "open_trace"),
    "open_sample": ("tenuto.traces.store", "open_sample"),
    "sample_names": ("tenuto.traces.store", "sample_names"),
    "save": ("tenuto.traces.store", "save"),
    "scaled_trace": ("tenuto.traces.scaled", "scaled_trace"),
    "TraceWriter": ("tenuto.traces.writer", "TraceWriter"),
}


def __getattr__(name: str) -> object:
    """Import the parts that need pyarrow or much code on first use."""
    if name not in _PLACES:
        raise AttributeError(f"module 'tenuto.traces' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
