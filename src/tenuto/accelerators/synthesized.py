"""Reads the areas of the synthesized units, and makes rows of the table of costs from them."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from tenuto.errors import HardwareError


def unit_areas(name: str) -> dict[str, Any]:
    """Return a table that `tenuto rtl area --json` wrote, from the package's presets."""
    return json.loads((files("tenuto") / "presets" / name).read_text(encoding="utf-8"))


def resolved(
    rows: Mapping[str, Mapping[str, Any]], areas: Mapping[str, Any], spread: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Give every synthesized row its `low`, `typical` and `high`; leave the others as they are.

    Args:
        rows: Of the table of costs. A synthesized one names a `unit`, the `figure` of it
            (`nand2_equivalents` or `sram_bits`), its `size` and the number it is `divided_by`;
            where it says `less`, the same figure of that unit is taken off first.
        areas: From `unit_areas`.
        spread: `low` and `high` times what the one library gives; memory bits are exact.

    Raises:
        HardwareError: The table of areas lacks a unit or a figure, or has it at another size.
    """
    return {name: _row(name, row, areas["units"], spread) for name, row in rows.items()}


def _row(
    name: str, row: Mapping[str, Any], units: Mapping[str, Any], spread: Mapping[str, float]
) -> dict[str, Any]:
    if row["status"] != "synthesized":
        return dict(row)
    unit = _unit(name, row, row["unit"], units)
    if unit["size"] != row["size"]:
        raise HardwareError(
            f"cost `{name}` divides unit {row['unit']!r} at the size {row['size']!r}, but the "
            f"table of areas has it at {unit['size']!r}"
        )
    part = unit[row["figure"]]
    if "less" in row:
        part -= _unit(name, row, row["less"], units)[row["figure"]]
    typical = part / row["divided_by"]
    low, high = (1.0, 1.0) if row["figure"] == "sram_bits" else (spread["low"], spread["high"])
    return {**row, "low": low * typical, "typical": typical, "high": high * typical}


def _unit(
    name: str, row: Mapping[str, Any], unit: str, units: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the entry of a unit that a row names."""
    if row["figure"] not in units.get(unit, {}):
        raise HardwareError(
            f"cost `{name}` needs {row['figure']!r} of unit {unit!r}, which the table of "
            "areas lacks: write it again with `tenuto rtl area --json`"
        )
    return units[unit]
