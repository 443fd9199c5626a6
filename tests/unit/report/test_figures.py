"""Figures: well-formed, deterministic SVG with real text that takes its colours from the page."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tenuto.report.comparison import Kind, Row, read_comparison
from tenuto.report.heatmaps import MAX_PANELS, PanelStyle, panels_svg, pmr_by_gap, pmr_curve_svg
from tenuto.report.maps import read_maps
from tenuto.report.pareto import pareto_svg
from tenuto.report.prompts_plot import prompts_svg
from tenuto.report.summary import speed

Make = Callable[..., Row]
STYLE = PanelStyle(what="similarity", across="step", down="block", colours="viridis")


@pytest.fixture
def rows(result_dir: Path) -> tuple[Row, ...]:
    return read_comparison(result_dir / "compare.json").rows


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter("text")]


def test_the_plot_has_one_mark_and_one_interval_per_row_that_is_on(rows: tuple[Row, ...]) -> None:
    svg = pareto_svg(rows, speed, "speed", "measured speed-up")

    assert svg is not None
    assert len(re.findall(r'id="speed-row-\d+"', svg)) == 14
    assert "DiTo best 1.5x: 38.1 dB at 1.52x" in svg
    assert svg.count('id="speed-LineCollection_') == 14


def test_the_labels_are_text_and_long_names_give_way_to_row_numbers(
    rows: tuple[Row, ...],
) -> None:
    svg = pareto_svg(rows, speed, "speed", "measured speed-up")

    assert svg is not None
    written = texts(svg)
    assert "DiTo best 1.5x" in written
    assert "DiTo (row 15)" in written
    assert "measured speed-up" in written


def test_a_figure_repeats_byte_for_byte(rows: tuple[Row, ...]) -> None:
    first, second = (pareto_svg(rows, speed, "speed", "gain") for _ in range(2))

    assert first == second


def test_a_figure_takes_colours_and_font_from_the_page(rows: tuple[Row, ...]) -> None:
    svg = pareto_svg(rows, speed, "speed", "gain") or ""

    assert "var(--tenuto)" in svg
    assert "#01020" not in svg
    assert "font-family" not in svg
    assert "<style" not in svg
    assert "<metadata" not in svg


def test_all_ids_of_a_figure_carry_its_name(rows: tuple[Row, ...]) -> None:
    svg = pareto_svg(rows, speed, "speed", "gain") or ""

    ids = re.findall(r'\bid="([^"]*)"', svg)
    used = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg)
    assert len(ids) == len(set(ids))
    assert all(name.startswith("speed-") for name in ids)
    assert {first or second for first, second in used} <= set(ids)


def test_one_row_makes_no_plot(make_row: Make) -> None:
    assert pareto_svg([make_row("a", psnr_db=1.0, speedup=1.0)], speed, "x", "gain") is None
    assert pareto_svg([make_row("a"), make_row("b", identical=True)], speed, "x", "gain") is None


def test_names_that_matplotlib_would_interpret_are_drawn_as_they_are(make_row: Make) -> None:
    names = ["_hidden $x_1$", "<b>&amp;", "模型"]
    rows = [
        make_row(name, psnr_db=30.0 + index, speedup=1.2 + index, psnr_per_prompt_db=(1.0, 2.0))
        for index, name in enumerate(names)
    ]

    svg = pareto_svg(rows, speed, "x", "gain")

    assert svg is not None
    assert set(names) <= set(texts(svg))
    assert set(names) <= set(texts(prompts_svg(rows, "y") or ""))


def test_the_prompts_plot_needs_two_prompts_of_a_row(make_row: Make) -> None:
    assert prompts_svg([make_row("a", psnr_per_prompt_db=(1.0, None))], "x") is None
    assert prompts_svg([make_row("a", Kind.PEER, psnr_per_prompt_db=(1.0, 2.0))], "x")


def test_maps_are_drawn_one_panel_per_label(result_dir: Path) -> None:
    maps = read_maps(result_dir / "maps.json")

    svg = panels_svg(maps.similarity, "similarity", STYLE) or ""

    assert {"attn", "ffn", "step", "block", "similarity"} <= set(texts(svg))
    # One image per panel and one for the colour key.
    assert svg.count("<image") == 3


def test_maps_without_a_known_value_are_not_drawn() -> None:
    unknown = {"x": np.full((2, 2), np.nan)}

    assert panels_svg(unknown, "x", STYLE) is None
    assert panels_svg({}, "x", STYLE) is None
    assert pmr_curve_svg(unknown, "x") is None
    assert pmr_curve_svg({"one step": np.ones((1, 1))}, "x") is None


def test_constant_maps_and_many_labels_are_drawn() -> None:
    many = {f"block {index}": np.full((2, 3), 0.5) for index in range(MAX_PANELS + 3)}

    svg = panels_svg(many, "x", STYLE) or ""

    assert svg.count("<image") == MAX_PANELS + 1


def test_values_over_decades_are_drawn_as_logarithms() -> None:
    svg = panels_svg({"x": np.array([[1e-4, 1.0]])}, "x", STYLE) or ""

    assert "similarity, log10" in texts(svg)


def test_pmr_by_gap_averages_diagonals_and_takes_the_known_side() -> None:
    nan = np.nan
    upper = np.array([[1, 0.8, 0.2], [nan, 1, 0.6], [nan, nan, 1]])

    gaps, mean, low, high = pmr_by_gap(upper)
    mirrored = pmr_by_gap(upper.T)

    assert gaps.tolist() == [1, 2]
    assert mean.tolist() == pytest.approx([0.7, 0.2])
    assert low.tolist() == pytest.approx([0.62, 0.2])
    assert high.tolist() == pytest.approx([0.78, 0.2])
    assert mirrored[1].tolist() == mean.tolist()
