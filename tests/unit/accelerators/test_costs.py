"""The table of costs: every constant has a range, a status and a source; areas add up."""

import json
from importlib.resources import files

import pytest

from tenuto.accelerators.area import area_of
from tenuto.accelerators.costs import Costs, cost_table
from tenuto.accelerators.machines import load
from tenuto.accelerators.synthesized import resolved
from tenuto.errors import HardwareError
from tenuto.hardware import Chip

CHIPS = ("dense", "orbis", "exion4", "exion24", "exion42", "tenuto1", "tenuto1-large")


@pytest.mark.parametrize("name", sorted(cost_table()["entries"]))
def test_a_constant_has_a_range_a_status_and_a_source(name: str) -> None:
    entry = cost_table()["entries"][name]

    is_exact = entry.get("figure") == "sram_bits"
    assert entry["low"] <= entry["typical"] <= entry["high"]
    assert (entry["low"] < entry["high"]) is not is_exact
    assert entry["status"] in ("estimated", "assumed", "quoted", "measured", "synthesized")
    assert len(entry["source"]) > 10


@pytest.mark.parametrize(
    ("row", "unit", "figure", "parts"),
    [
        ("dot_lane_nand2", "dot-unit", "nand2_equivalents", 24),
        ("predict_lane_nand2", "log-dot", "nand2_equivalents", 24),
        ("conmerge_nand2", "conmerge", "nand2_equivalents", 1),
        ("conmerge_bits", "conmerge", "sram_bits", 1),
        ("similarity_column_nand2", "similarity-array-4", "nand2_equivalents", 1),
        ("gain_lane_nand2", "window-rank", "nand2_equivalents", 16),
        ("restore_lane_nand2", "restore", "nand2_equivalents", 16),
    ],
)
def test_a_synthesized_row_is_what_synthesis_wrote_over_its_parts(
    row: str, unit: str, figure: str, parts: int
) -> None:
    written = json.loads((files("tenuto") / "presets" / "rtl-area-osu018.json").read_text())

    entry = cost_table()["entries"][row]

    assert entry["status"] == "synthesized"
    assert entry["typical"] == written["units"][unit][figure] / parts
    assert str(parts) in written["units"][unit]["size"] or parts == 1


def test_a_further_multiplier_costs_what_four_more_tokens_add_to_the_array() -> None:
    written = json.loads((files("tenuto") / "presets" / "rtl-area-osu018.json").read_text())
    four, eight = (
        written["units"][name]["nand2_equivalents"]
        for name in ("similarity-array-4", "similarity-array")
    )

    assert cost_table()["entries"]["similarity_lane_nand2"]["typical"] == (eight - four) / 4


def test_gates_are_nand2_equivalents_times_the_nand2_of_the_process() -> None:
    entries = cost_table()["entries"]

    found = Costs("typical", 28).gates_mm2("conmerge_nand2")

    nand2_um2 = 3 * 0.078 * 9 * 0.064
    assert entries["nand2_um2"]["typical"] == pytest.approx(nand2_um2, rel=1e-3)
    assert found == pytest.approx(
        entries["conmerge_nand2"]["typical"] * 2 * nand2_um2 / 1e6, rel=1e-3
    )


def test_a_synthesized_multiplier_is_near_aladdins_where_a_library_has_the_node() -> None:
    asap7_nand2_um2, aladdin_7nm_um2, aladdin_14nm_um2 = 0.05832, 58.0, 169.0
    int8_nand2 = cost_table()["entries"]["dot_lane_nand2"]["typical"] * (8 / 12) ** 2

    low, high = (Costs(level, 14).mac_mm2(8, False) * 1e6 for level in ("low", "high"))

    assert int8_nand2 * asap7_nand2_um2 == pytest.approx(aladdin_7nm_um2, rel=0.15)
    assert low < aladdin_14nm_um2 < high


def test_only_synthesized_rows_are_made_from_areas() -> None:
    row = {"status": "synthesized", "unit": "u", "figure": "nand2_equivalents", "size": "2 lanes",
           "divided_by": 2, "source": "s"}  # fmt: skip
    assumed = {"status": "assumed", "low": 1, "typical": 2, "high": 3, "source": "s"}
    areas = {"units": {"u": {"nand2_equivalents": 100, "size": "2 lanes"},
                       "v": {"nand2_equivalents": 60, "size": "1 lane"}}}  # fmt: skip

    rows = resolved(
        {"a": row, "b": assumed, "c": row | {"less": "v"}}, areas, {"low": 0.9, "high": 1.5}
    )

    assert (rows["a"]["low"], rows["a"]["typical"], rows["a"]["high"]) == (45, 50, 75)
    assert rows["b"] == assumed
    assert (rows["c"]["low"], rows["c"]["typical"], rows["c"]["high"]) == (18, 20, 30)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": "v"}, "cost `a` needs 'nand2_equivalents' of unit 'v', which the table of areas"),
        ({"less": "v"}, "cost `a` needs 'nand2_equivalents' of unit 'v', which the table of areas"),
        ({"figure": "watts"}, "cost `a` needs 'watts' of unit 'u', which the table of areas lacks"),
        ({"size": "4 lanes"}, "cost `a` divides unit 'u' at the size '4 lanes', but the table of"),
    ],
)
def test_an_area_that_is_missing_or_of_another_size_is_one_sentence(
    change: dict[str, str], message: str
) -> None:
    row = {"status": "synthesized", "unit": "u", "figure": "nand2_equivalents", "size": "2 lanes",
           "divided_by": 2, "source": "s"}  # fmt: skip
    areas = {"units": {"u": {"nand2_equivalents": 100, "size": "2 lanes"}}}

    with pytest.raises(HardwareError, match=message):
        resolved({"a": row | change}, areas, {"low": 0.9, "high": 1.5})


def test_integer_multipliers_grow_with_the_square_of_their_bits() -> None:
    costs = Costs("typical", 14)

    assert costs.mac_pj(16, False) == pytest.approx(4 * costs.mac_pj(8, False))
    assert costs.mac_mm2(24, False) == pytest.approx(4 * costs.mac_mm2(12, False))
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
