"""Areas of all units as one JSON object, with the library and the tools that made it."""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tenuto.errors import ToolError
from tenuto.rtl.area import area_of, library_from
from tenuto.rtl.catalog import UNITS
from tenuto.rtl.tools import sta_version, yosys_version

COMMITTED = "presets/rtl-area-osu018.json"
_TOLERANCE = 0.05


def area_table(liberty: Path, names: Sequence[str], done: Callable[[str], None]) -> dict[str, Any]:
    """Synthesize units of the catalogue.

    Args:
        liberty: Cell library, .lib or .lib.gz.
        names: Keys of `UNITS`.
        done: Called with each name.

    Returns:
        `library`, `nand2`, `nand2_um2`, `tools`, and `units` by name: `size`,
        `used_in` and the fields of `UnitArea`.
    """
    units: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        library = library_from(liberty, Path(folder))
        for name in names:
            entry = UNITS[name]
            area = area_of(entry.make(), library)
            units[name] = {
                "size": entry.size,
                "used_in": list(entry.used_in),
                **dataclasses.asdict(area),
            }
            done(name)
    return {
        "library": library.name,
        "nand2": library.nand2,
        "nand2_um2": library.nand2_um2,
        "tools": {"yosys": yosys_version(), "opensta": sta_version()},
        "units": units,
    }


def check_areas(table: dict[str, Any]) -> None:
    """Compare areas with the committed ones.

    Raises:
        ToolError: A unit differs by more than 5 %, or the cell library is another one.
    """
    text = files("tenuto").joinpath(COMMITTED).read_text(encoding="utf-8")
    committed = json.loads(text)
    if table["library"] != committed["library"]:
        raise ToolError(f"areas of {table['library']} are not those of {committed['library']}")
    for name, unit in table["units"].items():
        if name not in committed["units"]:
            raise ToolError(f"the committed table has no area of {name}")
        expected, found = committed["units"][name]["cell_area_um2"], unit["cell_area_um2"]
        if abs(found - expected) > _TOLERANCE * expected:
            raise ToolError(
                f"{name} takes {found:,.1f} um2 with {table['tools']['yosys']}, the committed "
                f"table says {expected:,.1f} with {committed['tools']['yosys']}"
            )


def text_of(table: dict[str, Any]) -> str:
    """Return the table for reading."""
    lines = [
        f"{table['library']}, NAND2 = {table['nand2']} ({table['nand2_um2']} um2), "
        f"{table['tools']['yosys']}",
        f"{'unit':12} {'um2':>12} {'NAND2':>9} {'flops':>7} {'SRAM bits':>10} {'path ns':>8}",
    ]
    for name, unit in table["units"].items():
        path = unit["critical_path_ns"]
        lines.append(
            f"{name:12} {unit['cell_area_um2']:12,.1f} {unit['nand2_equivalents']:9,} "
            f"{unit['num_flops']:7,} {unit['sram_bits']:10,} "
            f"{'-' if path is None else f'{path:.2f}':>8}"
        )
    return "\n".join(lines)
