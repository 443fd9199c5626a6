"""What a simulation answers: cycles, time, energy and area, each with parts that add up to it."""

from dataclasses import asdict, dataclass
from typing import Any

BREAKDOWNS = ("cycles", "energy_j", "area_mm2", "seconds_by_part")


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """A simulated run. Nothing here was measured.

    Attributes:
        accelerator, model: What ran, and where.
        trace_kind: "recorded", or "scaled": shapes published, sparsity assumed.
        techniques: What the trace says was on.
        notes: What of them the machine could not use, and why.
        cycles: Of the whole run; for GPUs at their boost clock.
        seconds, energy_j, area_mm2: Of the same.
        macs, dense_macs: Done by the arrays, and of the run with nothing skipped.
        dram_bytes: Read and written.
        breakdowns: ``cycles`` by cause, ``energy_j`` by component (leakage included), ``area_mm2``
            by unit, ``seconds_by_part`` by kind of operation. Each adds up to its total.
        energy_range_j: Low and high, from the ranges of the table's constants.
        sources: Where the trace's shapes and sparsity are from.
    """

    accelerator: str
    model: str
    trace_kind: str
    techniques: tuple[str, ...]
    notes: tuple[str, ...]
    cycles: float
    seconds: float
    energy_j: float
    area_mm2: float
    macs: float
    dense_macs: float
    dram_bytes: float
    breakdowns: dict[str, dict[str, float]]
    energy_range_j: tuple[float, float]
    sources: tuple[str, ...] = ()

    @property
    def mean_power_w(self) -> float:
        """Energy over time; 0 for a run without work."""
        return self.energy_j / self.seconds if self.seconds else 0.0

    @property
    def utilisation(self) -> float:
        """Share of the cycles in which the multipliers did work that counts, 0 to 1."""
        busy = self.breakdowns["cycles"].get("array_busy", 0.0)
        return busy / self.cycles if self.cycles else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with the derived ones."""
        return asdict(self) | {
            "mean_power_w": self.mean_power_w,
            "utilisation": self.utilisation,
            "simulated": True,
        }
