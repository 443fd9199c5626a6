"""The results of a sweep as typed values: JSON lines, a line cut short left out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenuto.errors import ResultError
from tenuto.report.fields import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One simulated point. `cycles` is by cause, `changes` what was varied."""

    trace: str
    accelerator: str
    changes: Mapping[str, Any]
    seconds: float
    energy_j: float
    area_mm2: float
    cycles: Mapping[str, float]

    @property
    def name(self) -> str:
        """The machine and what was varied in it."""
        changes = ", ".join(f"{name}={_text(value)}" for name, value in self.changes.items())
        return f"{self.accelerator}: {changes}" if changes else self.accelerator


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_sweep_results(path: Path) -> tuple[Point, ...]:
    """Read the results of a sweep.

    Raises:
        ResultError: The file is missing or holds no result, or a line is none.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error}") from error
    whole = text[: text.rfind("\n") + 1]
    points = tuple(
        _point(line, f"{path.name} line {number}")
        for number, line in enumerate(whole.splitlines(), 1)
    )
    if not points:
        raise ResultError(f"{path} must hold at least one result of a sweep, got none")
    return points


def unbeaten(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in seconds, joules and mm2 at once, fastest first."""
    costs = [(point.seconds, point.energy_j, point.area_mm2) for point in points]
    kept = [
        point
        for point, own in zip(points, costs, strict=True)
        if not any(
            other != own and all(o <= c for o, c in zip(other, own, strict=True)) for other in costs
        )
    ]
    return sorted(kept, key=lambda point: point.seconds)


def _point(line: str, where: str) -> Point:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise ResultError(f"{where} is not whole JSON: {error}") from error
    if not isinstance(values, dict) or values.get("simulated") is not True:
        raise ResultError(f"{where} must be a simulated result of a sweep, got {line[:60]!r}")
    fields = Fields(where=where, values=values)
    cycles = Fields(where=f"{where}.cycles", values=fields.mapping("cycles"))
    return Point(
        trace=fields.text("trace") or "?",
        accelerator=fields.text("accelerator") or "?",
        changes=fields.mapping("changes"),
        seconds=fields.positive("seconds"),
        energy_j=fields.positive("energy_j"),
        area_mm2=fields.positive("area_mm2"),
        cycles={name: cycles.number(name) or 0.0 for name in cycles.values},
    )
