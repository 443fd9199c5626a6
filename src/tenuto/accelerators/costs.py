"""The table of energies and areas: every constant with range, status and source, in one file."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

Level = Literal["low", "typical", "high"]


@dataclass(frozen=True, slots=True)
class Costs:
    """Constants at one level of caution, scaled to one process."""

    level: Level
    node_nm: int

    def energy(self, name: str) -> float:
        """Return an energy or power, scaled by the square root of the node."""
        return self.plain(name) * (self.node_nm / cost_table()["node_nm"]) ** 0.5

    def area(self, name: str) -> float:
        """Return an area, scaled by the node."""
        return self.plain(name) * self.node_nm / cost_table()["node_nm"]

    def plain(self, name: str) -> float:
        """Return a constant that does not depend on the process."""
        return float(cost_table()["entries"][name][self.level])

    def mac_pj(self, bits: int, is_floating: bool) -> float:
        """Return the energy of a multiply-accumulate; integer ones grow with the square of bits."""
        if is_floating:
            return self.energy("int8_mac_pj") * self.plain("float16_over_int8_energy")
        return self.energy("int8_mac_pj") * (bits / 8) ** 2

    def mac_mm2(self, bits: int, is_floating: bool) -> float:
        """Return the area of a multiply-accumulate unit."""
        factor = self.plain("float16_over_int8_area") if is_floating else (bits / 8) ** 2
        return self.area("int8_mac_um2") * factor / 1e6

    def sram_pj_per_byte(self, macro_bytes: int) -> float:
        """Return the read energy of a macro, interpolated between the table's sizes."""
        scale = (self.node_nm / cost_table()["node_nm"]) ** 0.5
        return scale * _interpolated(macro_bytes, "pj_per_byte")

    def sram_mm2(self, capacity_bytes: int, macro_bytes: int) -> float:
        """Return the area of a memory built of such macros."""
        scale = self.node_nm / cost_table()["node_nm"]
        return scale * capacity_bytes / 2**20 * _interpolated(macro_bytes, "mm2_per_mib")


def _interpolated(macro_bytes: int, name: str) -> float:
    table = cost_table()["sram"]
    return float(np.interp(np.log2(macro_bytes), np.log2(table["macro_bytes"]), table[name]))


@cache
def cost_table() -> dict[str, Any]:
    """Return the committed table."""
    text = (files("tenuto.accelerators") / "data" / "costs.json").read_text(encoding="utf-8")
    return json.loads(text)
