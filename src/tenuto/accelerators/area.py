"""Area of a chip, unit by unit, before placement."""

from tenuto.accelerators.costs import Costs, Level
from tenuto.hardware import Chip

_MATCHER_WINDOW = 256
_MATCHER_CHANNELS = 128
"""Channels of a window that are buffered at once: similarities accumulate over chunks."""


def area_of(chip: Chip, level: Level = "typical") -> dict[str, float]:
    """Return mm2 by unit; they add up to the chip's area.

    The DRAM devices are not on the chip; their interface is.
    """
    costs = Costs(level, chip.node_nm)
    array = chip.macs_per_cycle * costs.mac_mm2(chip.operand_bits, chip.is_floating)
    vector = chip.vector.elements_per_cycle * costs.area("vector_lane_um2")
    vector += chip.vector.exponentials_per_cycle * costs.area("exponential_unit_um2")
    parts = {
        "arrays": array,
        "vector": vector / 1e6,
        "sram": costs.sram_mm2(chip.sram.capacity_bytes, chip.sram.macro_bytes),
        "predictor": _predictor(chip, costs),
        "matcher": _matcher(chip, costs),
        "dram_interface": chip.dram.peak_bytes_per_s / 1e9
        * costs.area("dram_interface_mm2_per_gb_s"),
    }  # fmt: skip
    logic = sum(parts[name] for name in ("arrays", "vector", "predictor", "matcher"))
    compaction = 0.0
    if chip.compaction.granularity == "merged":
        compaction = costs.plain("compaction_of_core") * (array + parts["vector"])
    return parts | {
        "compaction": compaction,
        "control": costs.plain("control_share") * (logic + compaction),
    }


def _predictor(chip: Chip, costs: Costs) -> float:
    if chip.predictor is None:
        return 0.0
    one = costs.mac_mm2(12, is_floating=False) * costs.plain("predictor_over_int12_mac")
    return chip.predictor.macs_per_cycle * one


def _matcher(chip: Chip, costs: Costs) -> float:
    """Similarity array, gain lanes, a double-buffered window and its similarities."""
    if chip.matcher is None:
        return 0.0
    array = chip.matcher.macs_per_cycle * costs.mac_mm2(chip.matcher.bits, is_floating=False)
    lanes = chip.matcher.gain_lanes * costs.area("gain_lane_um2") / 1e6
    window_bytes = 2 * _MATCHER_WINDOW * _MATCHER_CHANNELS * chip.matcher.bits // 8
    similarity_bytes = 2 * _MATCHER_WINDOW**2
    return array + lanes + costs.sram_mm2(window_bytes + similarity_bytes, 524288)
