"""Area and critical path of a unit: Yosys against a Liberty library, timed by OpenSTA."""

import gzip
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from amaranth.lib import wiring

from tenuto.errors import ToolError
from tenuto.rtl.emit import TOP, rtlil_from
from tenuto.rtl.tools import run, run_yosys

DEFAULT_LIBERTY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
"""Where Debian's package qflow-tech-osu018 puts its 0.18 um library."""

_MAPPING = "+strash;&get,-n;&fraig,-x;&put;scorr;dc2;dch,-f;map,-B,0.9;topo;buffer,-N,16;topo"
"""Commands of ABC: as Yosys' own, and then no net drives more than 16 inputs."""

_NAND2 = re.compile(r"nand2", re.IGNORECASE)
_CELL = re.compile(r"\bcell\s*\(\s*\"?([\w.]+)\"?\s*\)(.*?)\barea\s*:\s*([\d.eE+-]+)", re.DOTALL)


_SCRIPT = (
    f"read_rtlil top.il; synth -top {TOP} -flatten -run begin:fine; opt -fast -full; "
    "opt -undriven -fine; write_json memories.json; techmap; opt -fast; "
    "tee -q -o flops.txt stat; dfflibmap -liberty cells.lib; "
    f"abc -liberty cells.lib -script {_MAPPING}; opt_clean; "
    "tee -q -o stat.json stat -liberty cells.lib -json; "
    "delete t:$mem_v2; opt_clean; setundef -zero; write_verilog -noattr -noexpr net.v"
)
"""Commands of Yosys: as `synth -flatten`, but memories stay whole: they are SRAM, not gates."""

_PERIOD_NS = 1000.0
"""Period that slack is measured from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A standard-cell library.

    Attributes:
        file: Liberty text, not compressed.
        name: As the library names itself.
        nand2: Its smallest two-input NAND.
        nand2_um2: Area of that cell.
    """

    file: Path
    name: str
    nand2: str
    nand2_um2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitArea:
    """What synthesis says about a unit; before placement, without wires.

    Attributes:
        cell_area_um2: Logic and registers; memories are not in it.
        nand2_equivalents: The same over the area of the library's NAND2.
        num_cells: Standard cells.
        num_flops: Registers among them, in bits.
        sram_bits: Bits in memories.
        critical_path_ns: Longest path from a register to a register, setup included, or to an
            output; none through a memory. None where OpenSTA is not installed or finds no path.
    """

    cell_area_um2: float
    nand2_equivalents: float
    num_cells: int
    num_flops: int
    sram_bits: int
    critical_path_ns: float | None


def library_from(path: Path, folder: Path) -> Library:
    """Read a library, unpacking a .gz file into a folder.

    Raises:
        ToolError: There is no such file, or it has no two-input NAND.
    """
    if not path.exists():
        raise ToolError(
            f"no Liberty file {path}; install qflow-tech-osu018 or pass one with `--liberty`"
        )
    if path.suffix == ".gz":
        unpacked = folder / path.stem
        with gzip.open(path) as packed, unpacked.open("wb") as target:
            shutil.copyfileobj(packed, target)
        path = unpacked
    text = path.read_text(encoding="utf-8", errors="replace")
    named = re.search(r"\blibrary\s*\(\s*\"?([\w.]+)", text)
    gates = [(float(area), cell) for cell, _, area in _CELL.findall(text) if _NAND2.search(cell)]
    gates = [(area, cell) for area, cell in gates if not re.search(r"nand2b", cell, re.IGNORECASE)]
    if named is None or not gates:
        raise ToolError(f"{path.name} is no Liberty file with a two-input NAND")
    nand2_um2, nand2 = min(gates)
    return Library(file=path.resolve(), name=named[1], nand2=nand2, nand2_um2=nand2_um2)


def area_of(unit: wiring.Component, library: Library) -> UnitArea:
    """Synthesize a unit.

    Args:
        unit: Not yet elaborated.
        library: Cells to map to.

    Raises:
        ToolError: Yosys or OpenSTA fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(rtlil_from(unit), encoding="utf-8")
        shutil.copy(library.file, folder / "cells.lib")
        run_yosys(_SCRIPT, folder)
        counted = json.loads((folder / "stat.json").read_text(encoding="utf-8"))["design"]
        cells = counted["num_cells_by_type"]
        memories = json.loads((folder / "memories.json").read_text(encoding="utf-8"))
        return UnitArea(
            cell_area_um2=round(counted["area"], 1),
            nand2_equivalents=round(counted["area"] / library.nand2_um2),
            num_cells=sum(count for cell, count in cells.items() if not cell.startswith("$")),
            num_flops=_num_flops(folder),
            sram_bits=_memory_bits(memories),
            critical_path_ns=_critical_path_ns(folder),
        )


def _num_flops(folder: Path) -> int:
    """Count register bits before they become cells of the library's names."""
    text = (folder / "flops.txt").read_text(encoding="utf-8")
    return sum(int(n) for n in re.findall(r"^\s*(\d+)\s.*\$_S?DFFE?_", text, re.MULTILINE))


def _memory_bits(netlist: dict) -> int:
    cells = netlist["modules"][TOP]["cells"].values()
    parameters = [cell["parameters"] for cell in cells if cell["type"] == "$mem_v2"]
    return sum(int(p["SIZE"], 2) * int(p["WIDTH"], 2) for p in parameters)


def _critical_path_ns(folder: Path) -> float | None:
    """Time the netlist; paths through memories are cut there."""
    if shutil.which("sta") is None:
        return None
    script = (
        "read_liberty cells.lib\nread_verilog net.v\n"
        f"link_design {TOP}\nset_cmd_units -time ns\n"
        f"create_clock -name clk -period {_PERIOD_NS} [get_ports clk]\n"
        "set_output_delay 0 -clock clk [all_outputs]\n"
        "report_worst_slack\nexit\n"
    )
    (folder / "time.tcl").write_text(script, encoding="utf-8")
    text = run(["sta", "-no_splash", "-exit", "time.tcl"], folder)
    slack = re.search(r"worst slack.*?(-?[\d.]+|INF)\s*$", text, re.MULTILINE)
    if slack is None:
        raise ToolError(f"OpenSTA gave no slack:\n{text[-500:]}")
    if slack[1] == "INF":
        return None
    return round(_PERIOD_NS - float(slack[1]), 2)
