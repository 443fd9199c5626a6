"""Simulates a trace on an accelerator."""

import numpy as np

from tenuto.accelerators.area import area_of
from tenuto.accelerators.energy import energy_of
from tenuto.accelerators.report import CycleReport
from tenuto.accelerators.timeline import timeline_of
from tenuto.accelerators.traffic import traffic_of
from tenuto.accelerators.work import uses_tokens, work_of
from tenuto.errors import HardwareError
from tenuto.hardware import Chip
from tenuto.traces.schema import Part, Trace


def simulate_chip(trace: Trace, chip: Chip) -> CycleReport:
    """Run every operation of a trace through the chip's units.

    Raises:
        HardwareError: The trace holds no operation.
    """
    if len(trace.operations) == 0:
        raise HardwareError("the trace holds no operation: there is nothing to simulate")
    work = work_of(trace, chip)
    traffic = traffic_of(trace, work, chip)
    timeline = timeline_of(trace.operations, work, traffic, chip)
    area = area_of(chip)
    energy = energy_of(chip, work, traffic, timeline, area)
    low, high = (
        sum(energy_of(chip, work, traffic, timeline, area_of(chip, level), level).values())
        for level in ("low", "high")
    )
    seconds = timeline.cycles / chip.clock_hz
    by_part = {
        part.name.lower(): float(timeline.operation_cycles[work.part == part].sum()) / chip.clock_hz
        for part in Part
        if np.any(work.part == part)
    }
    overlapped = ("stall_prediction", "stall_compaction", "stall_matching")
    by_part |= {name: timeline.causes[name] / chip.clock_hz for name in overlapped}
    return CycleReport(
        accelerator=chip.name, model=trace.manifest.model, trace_kind=trace.manifest.kind,
        techniques=trace.manifest.techniques, notes=unused(trace, chip),
        cycles=timeline.cycles, seconds=seconds, energy_j=sum(energy.values()),
        area_mm2=sum(area.values()), macs=float(work.macs.sum()), dense_macs=trace.dense_macs,
        dram_bytes=float(traffic.total.sum()),
        breakdowns={
            "cycles": timeline.causes, "energy_j": energy, "area_mm2": area,
            "seconds_by_part": by_part,
        },
        energy_range_j=(low, high), sources=trace.manifest.sources,
    )  # fmt: skip


def unused(trace: Trace, chip: Chip) -> tuple[str, ...]:
    """Say which techniques of the run the machine computes densely, and why."""
    manifest = trace.manifest
    notes: list[str] = []
    if manifest.restoration != "none" and not uses_tokens(trace, chip):
        lacks = "no forecaster" if chip.skips_tokens else "no gathering and restoring"
        notes.append(f"computes every token: it has {lacks}")
    if "FFN-Reuse" in manifest.techniques and not chip.reuses_ffn:
        notes.append("computes every feed-forward element: it has no FFN-Reuse")
    if "eager prediction" in manifest.techniques and chip.predictor is None:
        notes.append("computes every score: it has no predictor")
    return tuple(notes)
