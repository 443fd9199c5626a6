"""Area of a chip, unit by unit, before placement.

Arrays, predictor, matcher, restore path and compaction are synthesized units as many times as their
rates ask for; memories are the table's macros; the rest is assumed (`data/costs.json`).
"""

import math

from tenuto.accelerators.costs import Costs, Level
from tenuto.hardware import Chip, Matcher

MATCHER_WINDOW = 256
"""Tokens of a matching window."""
_COLUMN_TOKENS = 4
"""Multipliers in the synthesized `similarity_column_nand2`."""
_MACRO_BYTES = 524288
_ONCE_A_MATCHER = ("quantize", "select", "writer")


def area_of(chip: Chip, level: Level = "typical") -> dict[str, float]:
    """Return mm2 by unit; they add up to the chip's area.

    The DRAM devices are not on the chip; their interface is.
    """
    costs = Costs(level, chip.node_nm)
    vector = chip.vector.elements_per_cycle * costs.area("vector_lane_um2")
    vector += chip.vector.exponentials_per_cycle * costs.area("exponential_unit_um2")
    logic = {
        "arrays": chip.macs_per_cycle * costs.mac_mm2(chip.operand_bits, chip.is_floating),
        "vector": vector / 1e6,
        "predictor": _predictor(chip, costs),
        "matcher": _matcher(chip, costs),
        "restore": _restore(chip, costs),
        "compaction": _compaction(chip, costs),
    }
    return logic | {
        "sram": costs.sram_mm2(chip.sram.capacity_bytes, chip.sram.macro_bytes),
        "dram_interface": chip.dram.peak_bytes_per_s / 1e9
        * costs.area("dram_interface_mm2_per_gb_s"),
        "control": costs.plain("control_share") * sum(logic.values()),
    }  # fmt: skip


def _predictor(chip: Chip, costs: Costs) -> float:
    """Log-domain lanes, and a row selection for every score that they make in a cycle."""
    if chip.predictor is None:
        return 0.0
    selection = costs.plain("predict_scores_per_lane") * costs.gates_mm2("predict_row_nand2")
    return chip.predictor.macs_per_cycle * (costs.gates_mm2("predict_lane_nand2") + selection)


def _matcher(chip: Chip, costs: Costs) -> float:
    """Quantizer, similarity array, gain lanes, selection, lists; memories for one window."""
    if chip.matcher is None:
        return 0.0
    logic = _similarity_mm2(chip.matcher, costs)
    lane = costs.gates_mm2("gain_lane_nand2") + costs.gates_mm2("assign_lane_nand2")
    logic += chip.matcher.gain_lanes * lane
    logic += sum(costs.gates_mm2(f"{unit}_nand2") for unit in _ONCE_A_MATCHER)
    bits = costs.plain("similarity_token_bits") * MATCHER_WINDOW
    bits += costs.plain("gain_pair_bits") * MATCHER_WINDOW**2
    bits += sum(costs.plain(f"{unit}_bits") for unit in _ONCE_A_MATCHER)
    return logic + _memory(bits, costs)


def _similarity_mm2(engine: Matcher, costs: Costs) -> float:
    """Columns of multipliers, one a token; a column's scaling and root unit come with its first."""
    columns = math.ceil(engine.macs_per_cycle / MATCHER_WINDOW)
    others = max(engine.macs_per_cycle - _COLUMN_TOKENS * columns, 0)
    lanes = others * costs.gates_mm2("similarity_lane_nand2") * (engine.bits / 8) ** 2
    return lanes + columns * costs.gates_mm2("similarity_column_nand2")


def _restore(chip: Chip, costs: Costs) -> float:
    """Lanes that keep up with the DRAM, the rows that they restore from, a gather unit a core."""
    if not chip.skips_tokens:
        return 0.0
    lanes = math.ceil(chip.dram.peak_bytes_per_s / chip.clock_hz / 2)
    logic = lanes * costs.gates_mm2("restore_lane_nand2")
    logic += chip.num_cores * costs.gates_mm2("gather_nand2")
    return logic + _memory(costs.plain("restore_bits"), costs)


def _compaction(chip: Chip, costs: Costs) -> float:
    """As many ConMerge units as plan the columns of a cycle."""
    if chip.compaction.granularity != "merged":
        return 0.0
    one = costs.gates_mm2("conmerge_nand2") + _memory(costs.plain("conmerge_bits"), costs)
    return chip.compaction.columns_per_cycle * costs.plain("conmerge_cycles_per_column") * one


def _memory(bits: float, costs: Costs) -> float:
    return costs.sram_mm2(math.ceil(bits / 8), _MACRO_BYTES)
