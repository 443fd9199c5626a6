"""A component as RTLIL or Verilog text, by Amaranth and the Yosys of PyPI."""

import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from tenuto.rtl.tools import run_yosys

TOP = "top"
"""Name of the outermost module in everything that is emitted."""


def rtlil_from(component: wiring.Component) -> str:
    """Return RTLIL with the component's members as ports (`i__payload`, `i__valid`, ...)."""
    return rtlil.convert(component, name=TOP, emit_src=False)


def verilog_from(component: wiring.Component) -> str:
    """Return Verilog-2005; memories stay memories, nothing is optimized away."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "top.il"), Path(folder, "top.v")
        source.write_text(rtlil_from(component), encoding="utf-8")
        run_yosys(
            f"read_rtlil {source.name}; proc -norom; check -assert; memory_collect; opt_clean; "
            f"write_verilog -norename -noattr {target.name}",
            Path(folder),
        )
        return target.read_text(encoding="utf-8")
