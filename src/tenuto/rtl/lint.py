"""Lint the Verilog of units with Verilator; what is waived is listed with its reason."""

import os
import re
import tempfile
from pathlib import Path

from amaranth.lib import wiring

from tenuto.errors import ToolError
from tenuto.rtl.emit import TOP, verilog_from
from tenuto.rtl.tools import run
from tenuto.rtl.verilated import verilator_root

WAIVERS = {
    "DECLFILENAME": "a file has its unit's name, the outermost module is always `top`",
    "PROCASSINIT": "registers have their value after power-up in the declaration, as FPGAs and "
    "simulators want it, and take the same value at reset",
    "WIDTHEXPAND": "Amaranth's operands have their own widths; Yosys leaves extending them to "
    "Verilog, which extends as Amaranth does",
    "WIDTHTRUNC": "Amaranth's results are as wide as they can get; an assignment that is narrower "
    "drops the top bits, as it does in Amaranth",
    "CASEOVERLAP": "`If`/`Elif` becomes `casez` with a priority: the first match is meant",
    "VARHIDDEN": "a memory is a module whose array has the name of its instance",
    "UNUSEDSIGNAL": "Amaranth names every field of every payload for waveforms, read or not, and "
    "carries that are dropped are wires of their own",
}
"""Rules of `verilator --lint-only -Wall` that are off, and why."""


class LintError(ToolError):
    """A unit has a warning that no waiver names."""


def lint(unit: wiring.Component) -> None:
    """Let Yosys and Verilator look for mistakes; any warning is one.

    Combinational loops and signals with two drivers are refused by Amaranth already; Yosys looks
    for them, and for wires with no driver, in what came of it. Amaranth's own warnings are the
    interpreter's: errors in the tests, shown on the command line.

    Args:
        unit: Not yet elaborated.

    Raises:
        LintError: There are warnings; the message holds the first ones.
        ToolError: A tool is missing or fails.
    """
    text = verilog_from(unit)
    off = "".join(f"lint_off -rule {rule}\n" for rule in WAIVERS)
    root = verilator_root()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.v").write_text(text, encoding="utf-8")
        (folder / "waivers.vlt").write_text(f"`verilator_config\n{off}", encoding="utf-8")
        command = [
            str(root / "bin" / "verilator_bin"), "--lint-only", "-Wall", "--top-module", TOP,
            "waivers.vlt", "top.v",
        ]  # fmt: skip
        try:
            run(command, folder, {**os.environ, "VERILATOR_ROOT": str(root)})
        except ToolError as error:
            if re.search(r"%Warning-", str(error)):
                raise LintError(f"{type(unit).__name__}: {error}") from error
            raise
