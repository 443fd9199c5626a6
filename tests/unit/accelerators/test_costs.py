"""The table of costs: every constant has a range, a status and a source; areas add up."""

import pytest

from tenuto.accelerators.area import area_of
from tenuto.accelerators.costs import Costs, cost_table
from tenuto.accelerators.machines import load
from tenuto.hardware import Chip

CHIPS = ("dense", "orbis", "exion4", "exion24", "exion42", "tenuto1", "tenuto1-large")


@pytest.mark.parametrize("name", sorted(cost_table()["entries"]))
def test_a_constant_has_a_range_a_status_and_a_source(name: str) -> None:
    entry = cost_table()["entries"][name]

    assert entry["low"] < entry["typical"] < entry["high"]
    assert entry["status"] in ("estimated", "assumed", "quoted", "synthesized")
    assert len(entry["source"]) > 10


def test_integer_multipliers_grow_with_the_square_of_their_bits() -> None:
    costs = Costs("typical", 14)

    assert costs.mac_pj(16, False) == pytest.approx(4 * costs.mac_pj(8, False))
    assert costs.mac_pj(8, False) == cost_table()["entries"]["int8_mac_pj"]["typical"]


def test_other_nodes_scale_as_the_table_says() -> None:
    here, coarse = Costs("typical", 14), Costs("typical", 56)

    assert coarse.mac_mm2(8, False) == pytest.approx(4 * here.mac_mm2(8, False))
    assert coarse.mac_pj(8, False) == pytest.approx(2 * here.mac_pj(8, False))
    assert coarse.plain("gddr6_pj_per_bit") == here.plain("gddr6_pj_per_bit")


@pytest.mark.parametrize("macro_bytes", [2**19, 2**21])
def test_memories_are_cactis_macros(macro_bytes: int) -> None:
    read_pj, width_bytes, mm2 = {2**19: (95, 128, 0.36), 2**21: (440, 256, 1.97)}[macro_bytes]
    costs = Costs("typical", 14)

    assert costs.sram_pj_per_byte(macro_bytes) == pytest.approx(read_pj / width_bytes, rel=0.01)
    assert costs.sram_mm2(macro_bytes, macro_bytes) == pytest.approx(mm2, rel=0.01)


@pytest.mark.parametrize("name", CHIPS)
def test_caution_only_moves_areas_up(name: str) -> None:
    chip = load(name)
    assert isinstance(chip, Chip)

    low, typical, high = (area_of(chip, level) for level in ("low", "typical", "high"))

    assert all(low[unit] <= typical[unit] <= high[unit] for unit in typical)


def test_the_matching_engine_stays_below_the_published_share() -> None:
    chip = load("orbis")
    assert isinstance(chip, Chip)

    area = area_of(chip, "high")

    assert area["matcher"] / sum(area.values()) <= 0.024


@pytest.mark.parametrize("name", ["tenuto1", "tenuto1-large"])
def test_our_machines_keep_to_their_budgets(name: str) -> None:
    ours, budget = load(name), load({"tenuto1": "exion24", "tenuto1-large": "a100"}[name])
    assert isinstance(ours, Chip)
    limit = sum(area_of(budget).values()) if isinstance(budget, Chip) else budget.die_mm2

    assert sum(area_of(ours).values()) <= limit
