"""Pages of simulations and sweeps: what is simulated and what is quoted never mix."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tenuto.errors import ResultError
from tenuto.report import write_simulation_report, write_sweep_report
from tenuto.report.simulation import read_simulation
from tenuto.report.simulation_figures import ladder_svg, shares_text, stacked_svg
from tenuto.report.sweep import read_sweep_results, unbeaten

Json = dict[str, Any]


def machine(name: str, seconds: float, kind: str = "chip") -> Json:
    return {
        "accelerator": name,
        "kind": kind,
        "seconds": seconds,
        "energy_j": 10 * seconds,
        "energy_range_j": [5 * seconds, 20 * seconds],
        "area_mm2": 150.0,
        "macs": 1e12,
        "dram_bytes": 1e10,
        "peak_macs_per_s": 2e12,
        "peak_bytes_per_s": 4e10,
        "notes": ["computes every token: it has no gathering and restoring"],
        "breakdowns": {
            "cycles": {"array_busy": 70.0, "stall_dram": 29.9, "issue": 0.1},
            "energy_j": {"arrays": 6.0, "dram": 4.0},
            "area_mm2": {"arrays": 100.0, "sram": 50.0},
            "seconds_by_part": {"ffn_up": 0.4, "scores": 0.6},
        },
    }


def simulation() -> Json:
    """The object of simulation.json."""
    rungs = [("dense", 2.0), ("exion", 1.0)]
    return {
        "schema": 1,
        "simulated": True,
        "model": "dit",
        "trace_kind": "scaled",
        "techniques": ["FFN-Reuse"],
        "command": "tenuto simulate dit",
        "baseline": "a100",
        "reports": [
            machine("exion24", 1.0),
            machine("orbis", 2.0),
            machine("a100", 4.0, "gpu"),
            machine("a100-roofline", 3.0, "gpu"),
        ],
        "ladders": {
            "exion24": [{"recipe": r, "seconds": s, "energy_j": s} for r, s in rungs],
            "orbis": [{"recipe": "dense", "seconds": 2.0, "energy_j": 1.0}],
        },
        "quoted": [
            {"machine": "orbis", "gpu": "a100", "speedup": [None, 4.5], "energy_gain": [None, 4.8],
             "source": "the paper"},
            {"machine": "exion4", "gpu": "a100", "speedup": [7.0, 9.0], "energy_gain": [7.0, 9.0],
             "source": "another"},
        ],
    }  # fmt: skip


def point(seconds: float, energy_j: float, area_mm2: float, **changes: Any) -> Json:
    return {
        "key": "k",
        "simulated": True,
        "trace": "mdm composed",
        "accelerator": "tenuto1",
        "changes": changes,
        "seconds": seconds,
        "energy_j": energy_j,
        "area_mm2": area_mm2,
        "cycles": {"array_busy": 3.0, "stall_dram": 1.0},
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "simulation.json"
    path.write_text(json.dumps(simulation()))
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "design.jsonl"
    points = [
        point(1.0, 9.0, 5.0, num_cores=8, **{"dram.peak_bytes_per_s": 1e12}),
        point(2.0, 3.0, 5.0),
        point(2.0, 4.0, 6.0),
    ]
    path.write_text("".join(json.dumps(p) + "\n" for p in points))
    return path


def page(file: Path) -> str:
    return write_simulation_report(file, file.with_name("page.html")).read_text("utf-8")


def test_ideal_calibrated_and_quoted_stand_in_columns_of_their_own(file: Path) -> None:
    html = page(file)

    columns = re.findall(r'<th scope="col">([^<]*(?:simulated|quoted)[^<]*)</th>', html)
    assert columns == [
        "ideal roofline (simulated)",
        "calibrated (simulated)",
        "quoted from the paper",
    ]
    (orbis,) = re.findall(r'<th scope="row">orbis / a100</th>(.*?)</tr>', html)
    assert re.findall("<b>(.*?)</b>", orbis) == ["1.50x", "2.00x", "up to 4.5x"]
    (exion,) = re.findall(r'<th scope="row">exion24 / a100</th>(.*?)</tr>', html)
    assert re.findall("<b>(.*?)</b>", exion) == ["3.00x", "4.00x"]
    assert 'class="missing"' in exion
    assert "another" not in html  # a claim on a machine that is not on the page


def test_every_figure_and_headline_says_that_it_is_simulated(file: Path) -> None:
    html = page(file)

    captions = re.findall("<figcaption>(.*?)</figcaption>", html)
    labels = re.findall(r'<svg[^>]*aria-label="([^"]*)"', html)
    assert len(captions) == len(labels) == 6
    assert all("simulated" in words for words in captions + labels)
    assert "exion24 is 4.00x as fast as a100 and takes 25 % of its energy, simulated." in html
    assert "Nothing was measured" in html
    assert "shapes are published, sparsity is assumed" in html


def test_no_string_of_a_simulation_becomes_markup(file: Path) -> None:
    trap = "<script>alert(1)</script>"
    content = simulation() | {"model": trap, "command": trap, "techniques": [trap]}
    content["reports"][0] |= {"accelerator": trap, "notes": [trap]}
    content["reports"][0]["breakdowns"]["cycles"] = {trap: 1.0}
    file.write_text(json.dumps(content))

    assert page(file).count("<script>") == 1


def test_the_bars_in_words_are_shares_that_add_up() -> None:
    parts = {"array_busy": 70.0, "stall_dram": 29.9, "issue": 0.1}

    assert shares_text(parts) == "array busy 70.0 %, stall dram 29.9 %"


def test_small_parts_are_drawn_together_and_bars_without_amounts_are_not() -> None:
    parts = {"a": 990.0, "b": 8.0, "c": 1.0, "d": 1.0}

    svg = stacked_svg({"one": parts}, "x", "cycles", {"one": "1 s"}) or ""

    assert re.findall(r"<text[^>]*>(a|b|c|d|other)</text>", svg) == ["a", "b", "other"]
    assert stacked_svg({"one": {}}, "x", "cycles", {"one": "1 s"}) is None


def test_a_chip_without_a_second_recipe_has_no_ladder(file: Path) -> None:
    ladders = read_simulation(file).ladders

    svg = ladder_svg(ladders, "x") or ""

    assert "exion24: exion 2.00x" in svg
    assert "orbis" not in svg
    assert ladder_svg({"orbis": ladders["orbis"]}, "x") is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema": 2}, r"`simulation\.json\.schema` must be 1, simulated, got 2"),
        ({"simulated": False}, r"must be 1, simulated"),
        ({"reports": []}, r"`simulation\.json\.reports` must hold at least one machine"),
        ({"baseline": "h100"}, r"`simulation\.json\.baseline` must be one of the machines"),
        ({"reports": [{"accelerator": "x"}]}, r"reports\[0\]\.seconds` must be a number greater"),
        ({"quoted": [{"machine": "x", "speedup": [1]}]}, r"quoted\[0\]\.speedup` must be \[lowest"),
    ],
)
def test_what_is_no_simulation_is_refused(file: Path, changes: Json, sentence: str) -> None:
    file.write_text(json.dumps(simulation() | changes))

    with pytest.raises(ResultError, match=sentence):
        read_simulation(file)


def test_only_points_that_none_beats_are_listed(results: Path) -> None:
    points = read_sweep_results(results)

    assert unbeaten(points) == [points[0], points[1]]


def test_a_sweeps_page_lists_the_unbeaten_points_of_each_trace(results: Path) -> None:
    html = write_sweep_report(results, results.with_suffix(".html")).read_text("utf-8")

    rows = re.findall(r'<th scope="row">(.*?)</th>', html)
    assert rows == ["tenuto1: num_cores=8, dram.peak_bytes_per_s=1e+12", "tenuto1"]
    assert "3 points on 1 trace, all simulated." in html
    assert len(re.findall('<svg[^>]*aria-label="[^"]*simulated', html)) == 2


def test_a_line_that_a_kill_cut_short_is_left_out(results: Path) -> None:
    with results.open("a") as stream:
        stream.write('{"key": "cut')

    assert len(read_sweep_results(results)) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must hold at least one result of a sweep"),
        ("{\n", "line 1 is not whole JSON"),
        ('{"seconds": 1}\n', "line 1 must be a simulated result of a sweep"),
        ('{"simulated": true, "seconds": 0}\n', r"line 1\.seconds` must be a number greater than"),
    ],
)
def test_what_is_no_sweep_is_refused(results: Path, text: str, sentence: str) -> None:
    results.write_text(text)

    with pytest.raises(ResultError, match=sentence):
        read_sweep_results(results)
