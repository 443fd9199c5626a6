"""simulation.json as typed values: machines, ladders, and what papers report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tenuto.errors import ResultError
from tenuto.report.fields import Fields, read_object

SCHEMA = 1
IDEAL = "-roofline"
BREAKDOWNS = ("cycles", "energy_j", "area_mm2", "seconds_by_part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One simulated machine. `parts` are the breakdowns by their name, each by part."""

    name: str
    is_gpu: bool
    seconds: float
    energy_j: float
    energy_range_j: tuple[float, float] | None
    area_mm2: float
    macs: float
    dram_bytes: float
    peak_macs_per_s: float
    peak_bytes_per_s: float
    parts: Mapping[str, Mapping[str, float]]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A workload under one recipe on one chip."""

    recipe: str
    seconds: float
    energy_j: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a paper reports of its machine against a GPU; either bound may be unknown."""

    machine: str
    gpu: str
    speedup: tuple[float | None, ...]
    energy_gain: tuple[float | None, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A whole simulation.json."""

    model: str
    trace_kind: str
    techniques: tuple[str, ...]
    command: str | None
    baseline: str | None
    machines: tuple[Machine, ...]
    ladders: Mapping[str, tuple[Rung, ...]]
    claims: tuple[Claim, ...]


def read_simulation(path: Path) -> Simulation:
    """Read and check a simulation.json.

    Raises:
        ResultError: The file is missing, cut short, of another schema, without machines, or a
            field is absent or of the wrong type.
    """
    fields = read_object(path)
    schema = fields.values.get("schema")
    if schema != SCHEMA or fields.values.get("simulated") is not True:
        raise ResultError(f"`{path.name}.schema` must be {SCHEMA}, simulated, got {schema!r}")
    machines = [_machine(part) for part in _objects(fields, "reports")]
    if not machines:
        raise ResultError(f"`{path.name}.reports` must hold at least one machine, got none")
    baseline = fields.text("baseline")
    if baseline is not None and baseline not in {machine.name for machine in machines}:
        raise ResultError(f"`{path.name}.baseline` must be one of the machines, got {baseline!r}")
    ladders = Fields(where=f"{path.name}.ladders", values=fields.mapping("ladders"))
    return Simulation(
        model=fields.text("model") or "model",
        trace_kind=fields.text("trace_kind") or "?",
        techniques=tuple(fields.items("techniques", str)),
        command=fields.text("command"),
        baseline=baseline,
        machines=tuple(machines),
        ladders={
            chip: tuple(_rung(rung) for rung in _objects(ladders, chip)) for chip in ladders.values
        },
        claims=tuple(_claim(claim) for claim in _objects(fields, "quoted")),
    )


def _objects(fields: Fields, key: str) -> list[Fields]:
    return [
        Fields(where=f"{fields.where}.{key}[{index}]", values=values)
        for index, values in enumerate(fields.items(key, dict))
    ]


def _machine(fields: Fields) -> Machine:
    parts = Fields(where=f"{fields.where}.breakdowns", values=fields.mapping("breakdowns"))
    return Machine(
        name=_named(fields, "accelerator"),
        is_gpu=fields.text("kind") == "gpu",
        seconds=fields.positive("seconds"),
        energy_j=fields.positive("energy_j"),
        energy_range_j=fields.interval("energy_range_j"),
        area_mm2=fields.positive("area_mm2"),
        macs=fields.positive("macs"),
        dram_bytes=fields.positive("dram_bytes"),
        peak_macs_per_s=fields.positive("peak_macs_per_s"),
        peak_bytes_per_s=fields.positive("peak_bytes_per_s"),
        parts={name: _amounts(parts, name) for name in BREAKDOWNS},
        notes=tuple(fields.items("notes", str)),
    )


def _amounts(fields: Fields, key: str) -> dict[str, float]:
    """Read amounts by part."""
    parts = Fields(where=f"{fields.where}.{key}", values=fields.mapping(key))
    return {name: parts.number(name) or 0.0 for name in parts.values}


def _rung(fields: Fields) -> Rung:
    return Rung(
        recipe=_named(fields, "recipe"),
        seconds=fields.positive("seconds"),
        energy_j=fields.positive("energy_j"),
    )


def _claim(fields: Fields) -> Claim:
    for key in ("speedup", "energy_gain"):
        if len(fields.numbers(key)) != 2:
            fields.refuse(key, "[lowest, highest]")
    return Claim(
        machine=_named(fields, "machine"),
        gpu=_named(fields, "gpu"),
        speedup=fields.numbers("speedup"),
        energy_gain=fields.numbers("energy_gain"),
        source=fields.text("source") or "?",
    )


def _named(fields: Fields, key: str) -> str:
    return fields.text(key) or fields.refuse(key, "a text that is not empty")
