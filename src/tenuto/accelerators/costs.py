"""The table of energies and areas: every constant with range, status and source, in one file."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from tenuto.accelerators.synthesized import resolved, unit_areas

Level = Literal["low", "typical", "high"]
_SYNTHESIZED_BITS = 12
"""Width of the multiply-accumulate unit that was synthesized."""


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
        """Return the area of a multiply-accumulate unit; integer ones grow with bits squared."""
        factor = (bits / _SYNTHESIZED_BITS) ** 2
        if is_floating:
            factor = (8 / _SYNTHESIZED_BITS) ** 2 * self.plain("float16_over_int8_area")
        return self.gates_mm2("dot_lane_nand2") * factor

    def gates_mm2(self, name: str) -> float:
        """Return the area of a synthesized unit: NAND2 equivalents times a NAND2 of the process."""
        return self.plain(name) * self.area("nand2_um2") / 1e6

    def gates_pj(self, name: str) -> float:
        """Return the energy of a synthesized unit a cycle.

        As much a gate as in the multiply-accumulate unit that was synthesized beside it: assumed.
        """
        share = self.plain(name) / self.plain("dot_lane_nand2")
        return share * self.mac_pj(_SYNTHESIZED_BITS, is_floating=False)

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
    """Return the committed table, with the areas of the synthesized units in their rows.

    Raises:
        HardwareError: The table of synthesized areas does not have what a row names.
    """
    text = (files("tenuto.accelerators") / "data" / "costs.json").read_text(encoding="utf-8")
    table = json.loads(text)
    synthesis = table["synthesis"]
    areas = unit_areas(synthesis["table"])
    return table | {"entries": resolved(table["entries"], areas, synthesis)}
