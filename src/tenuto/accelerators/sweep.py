"""Sweeps: every combination of traces, recipes, machines and varied fields, from one TOML file."""

import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from tenuto.accelerators.machines import load
from tenuto.config import from_dict
from tenuto.hardware import Chip
from tenuto.traces.recipes import RECIPES
from tenuto.traces.schema import Trace
from tenuto.traces.workloads import WORKLOADS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What to simulate.

    Attributes:
        traces: Names of workloads, or trace folders.
        recipes: Of the scaled ones; folders are what they are.
        accelerators: Names or TOML files of accelerators; not GPUs.
        vary: Dotted fields of an accelerator, each with the values to try.
    """

    traces: tuple[str, ...]
    recipes: tuple[str, ...] = ("composed",)
    accelerators: tuple[str, ...]
    vary: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("traces", "recipes", "accelerators"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` must name at least one, got none")
        unknown = sorted(set(self.recipes) - set(RECIPES))
        if unknown:
            raise ValueError(f"`recipes` must be of {sorted(RECIPES)}, got {unknown}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One simulation of a sweep."""

    trace: str
    recipe: str
    accelerator: str
    changes: tuple[tuple[str, Any], ...]

    @property
    def key(self) -> str:
        """Name of the point in a results file: the same for the same settings."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def chip(self) -> Chip:
        """Build the machine.

        Raises:
            ValueError: It is a GPU, or a changed field is unknown or impossible.
        """
        machine = load(self.accelerator)
        if not isinstance(machine, Chip):
            raise ValueError(f"`accelerators` must not name GPUs, got {self.accelerator!r}")
        return changed(machine, dict(self.changes))


def read_sweep(file: Path) -> Sweep:
    """Read a sweep file and build every machine of it once, so that no error comes late.

    Raises:
        ValueError: Not TOML, an unknown key, or an impossible machine; names the dotted path.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{file.name}` must be a TOML file, got {error}") from None
    vary = content.pop("vary", {})
    if not isinstance(vary, dict) or not all(
        isinstance(values, list) and values for values in vary.values()
    ):
        raise ValueError(f"`{file.stem}.vary` must give each field a list of values, got {vary!r}")
    settings = from_dict(_Listed, content, file.stem)
    sweep = Sweep(
        traces=settings.traces, recipes=settings.recipes, accelerators=settings.accelerators,
        vary={name: tuple(values) for name, values in vary.items()},
    )  # fmt: skip
    for point in points_of(sweep):
        point.chip()
    return sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """The part of a sweep file outside of its `vary` table."""

    traces: tuple[str, ...]
    recipes: tuple[str, ...] = ("composed",)
    accelerators: tuple[str, ...]


def points_of(sweep: Sweep) -> Iterator[Point]:
    """List the points; traces vary slowest, so that each is made once."""
    names = list(sweep.vary)
    for trace in sweep.traces:
        recipes = sweep.recipes if trace in WORKLOADS else ("recorded",)
        rest = itertools.product(recipes, sweep.accelerators, *sweep.vary.values())
        for recipe, accelerator, *values in rest:
            yield Point(
                trace=trace, recipe=recipe, accelerator=accelerator,
                changes=tuple(zip(names, values, strict=True)),
            )  # fmt: skip


def changed(chip: Chip, changes: Mapping[str, Any]) -> Chip:
    """Return a chip with dotted fields replaced; every check of the records is made again."""
    content = _plain(chip)
    for path, value in changes.items():
        place: Any = content
        *tables, last = path.split(".")
        for name in tables:
            place = place.get(name) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise ValueError(
                f"`vary` must name fields of {chip.name!r}, got {path!r}, which is none"
            )
        place[last] = value
    return from_dict(Chip, content, "vary")


def _plain(record: Any) -> Any:
    """Return nested records as nested dictionaries, without the fields that are None."""
    if is_dataclass(record) and not isinstance(record, type):
        names = record.__dataclass_fields__
        parts = {name: _plain(getattr(record, name)) for name in names}
        return {name: value for name, value in parts.items() if value is not None}
    return record


def trace_of(point: Point) -> Trace:
    """Make or read the trace of a point."""
    from tenuto.traces.scaled import scaled_trace
    from tenuto.traces.store import open_trace

    if point.trace in WORKLOADS:
        return scaled_trace(point.trace, point.recipe)
    return open_trace(point.trace)
