"""Energy of a run: counted events times the table of costs, and leakage over the whole time."""

from collections.abc import Mapping

import numpy as np

from tenuto.accelerators.costs import Costs, Level
from tenuto.accelerators.timeline import Timeline
from tenuto.accelerators.traffic import Traffic
from tenuto.accelerators.work import LINEAR, Work
from tenuto.hardware import Chip, SystolicArray
from tenuto.traces.schema import ATTENTION_CORES, Part

_PJ = 1e-12


def energy_of(
    chip: Chip,
    work: Work,
    traffic: Traffic,
    timeline: Timeline,
    area: Mapping[str, float],
    level: Level = "typical",
) -> dict[str, float]:
    """Return joules by component; they add up to the run's energy.

    Multiplications that count take their full energy; those of idle lanes and partly filled tiles
    are gated and take none but leakage and their share of control.
    """
    costs = Costs(level, chip.node_nm)
    element = chip.operand_bits / 8
    macs = float(work.macs.sum()) + _software_matching_macs(work, chip)
    mac_pj = costs.mac_pj(chip.operand_bits, chip.is_floating)
    mac_pj += 2 * element * costs.energy("register_pj_per_byte")
    local = macs * element * _operands_per_mac(chip) * costs.energy("local_sram_pj_per_byte")
    dram = float(traffic.total.sum())
    moved = _moved_bytes(work, element)
    global_pj = costs.sram_pj_per_byte(chip.sram.macro_bytes)
    predictor = costs.gates_pj("predict_lane_nand2")
    predictor += costs.plain("predict_scores_per_lane") * costs.gates_pj("predict_row_nand2")
    matching = timeline.matcher_macs * costs.mac_pj(_matcher_bits(chip), is_floating=False)
    vector = timeline.vector_elements * costs.energy("vector_element_pj")
    dynamic = {
        "arrays": _PJ * macs * mac_pj,
        "local_memories": _PJ * local,
        "global_memory": _PJ * (moved * (global_pj + costs.energy("wire_pj_per_byte"))
                                + dram * global_pj),
        "vector": _PJ * (vector + timeline.exponentials * costs.energy("exponential_pj")),
        "predictor": _PJ * timeline.predictor_macs * predictor,
        "matcher": _PJ * (matching + timeline.matcher_steps * costs.gates_pj("gain_lane_nand2")),
        "compaction": _PJ * _planned_columns(work, chip) * _planning_pj(costs),
    }  # fmt: skip
    seconds = timeline.cycles / chip.clock_hz
    logic_mm2 = sum(area.values()) - area["sram"]
    leakage = logic_mm2 * costs.energy("logic_leakage_w_per_mm2")
    leakage += chip.sram.capacity_bytes / 2**20 * costs.energy("sram_leakage_w_per_mib")
    return dynamic | {
        "control": costs.plain("control_share") * sum(dynamic.values()),
        "dram": _PJ * dram * 8 * costs.plain(f"{chip.dram.kind}_pj_per_bit"),
        "leakage": seconds * leakage,
    }


def _planning_pj(costs: Costs) -> float:
    """Energy of a column that is condensed, sorted and merged."""
    cycles = costs.plain("conmerge_cycles_per_column") * costs.plain("control_activity")
    return cycles * costs.gates_pj("conmerge_nand2")


def _operands_per_mac(chip: Chip) -> float:
    """Elements read from a core's memories for each multiplication."""
    if isinstance(chip.array, SystolicArray):
        return 1 / chip.array.pe_rows + 1 / chip.array.pe_columns
    return 1 / chip.array.unit_rows + 1 / chip.array.unit_columns


def _moved_bytes(work: Work, element: float) -> float:
    """Bytes between global memory and cores: each product's factors and result, once."""
    is_linear = np.isin(work.part, LINEAR)
    right = np.where(is_linear, work.inner * work.columns, work.inner * work.columns * work.count)
    left = (work.rows * work.inner + work.rows * work.columns) * work.count
    is_scores = np.isin(work.part, (Part.SCORES, Part.CROSS_SCORES))
    is_values = np.isin(work.part, (Part.VALUES, Part.CROSS_VALUES))
    left = np.where(is_scores, work.rows * work.inner * work.count, left)
    left = np.where(is_values, work.rows * work.columns * work.count, left)
    is_product = np.isin(work.part, (*LINEAR, *ATTENTION_CORES)) & (work.rows > 0)
    return float(np.where(is_product, (left + right) * element, 0.0).sum())


def _software_matching_macs(work: Work, chip: Chip) -> float:
    if chip.matcher is not None:
        return 0.0
    is_match = work.part == Part.MATCH
    return float((work.rows * work.columns * work.inner)[is_match].sum())


def _matcher_bits(chip: Chip) -> int:
    return chip.matcher.bits if chip.matcher else 8


def _planned_columns(work: Work, chip: Chip) -> float:
    if chip.compaction.granularity == "none":
        return 0.0
    is_masked = np.isin(work.part, (Part.FFN_UP, Part.SCORES)) & (work.density < 1.0)
    return float((np.ceil(work.rows / 16) * work.columns * work.count)[is_masked].sum())
