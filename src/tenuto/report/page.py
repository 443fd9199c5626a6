"""A result folder as one HTML file that asks for nothing outside itself."""

from pathlib import Path

from tenuto.report.clips import films_in_budget
from tenuto.report.comparison import Comparison, Kind, Row, read_comparison
from tenuto.report.document import charts_html, document_html, replace_text
from tenuto.report.gallery import gallery_html
from tenuto.report.heatmaps import MAX_PANELS, PanelStyle, panels_svg, pmr_curve_svg
from tenuto.report.maps import Maps, read_maps
from tenuto.report.overview import overview_html
from tenuto.report.pareto import pareto_svg
from tenuto.report.prompts_plot import prompts_svg
from tenuto.report.reading import reading_html
from tenuto.report.settings import settings_html
from tenuto.report.skipped import skipped_html
from tenuto.report.summary import speed
from tenuto.report.table import table_html

# Films take most of a page; the rest of one stays under a megabyte.
FILM_BUDGET_BYTES = 6_500_000

_PMR = PanelStyle(what="PMR", across="step", down="step", colours="viridis", limits=(0, 1))
_SIMILARITY = PanelStyle(what="similarity", across="step", down="block", colours="viridis")
_FORECAST_ERROR = PanelStyle(what="forecast error", across="step", down="block", colours="magma")


def write_report(result_dir: Path, out: Path | None = None) -> Path:
    """Write a result folder as one self-contained HTML page.

    Args:
        result_dir: Holds compare.json and, where there are any, clips/ and maps.json.
        out: The file to write; report.html in the result folder when not given. A page that is
            there already is replaced only once the new one is whole.

    Returns:
        The path of the page.

    Raises:
        ResultError: compare.json or maps.json is missing, cut short or of another schema, or a
            clip is unreadable or of another shape than its reference.
        MissingExtraError: Pillow or matplotlib is not installed.
    """
    result_dir = Path(result_dir)
    out = result_dir / "report.html" if out is None else Path(out)
    comparison = read_comparison(result_dir / "compare.json")
    maps = read_maps(result_dir / "maps.json")
    html = _page_html(comparison, maps, result_dir / "clips")
    replace_text(out, html)
    return out


def _page_html(comparison: Comparison, maps: Maps, clips: Path) -> str:
    sections = {
        "All rows": table_html(comparison.rows) + settings_html(comparison.rows),
        "Clips side by side": _clips_html(comparison, clips),
        "Closeness against gain": charts_html(
            _gain_figures(comparison.rows), "paired", reading_html(comparison.rows)
        ),
        "What was skipped": skipped_html(maps.skipped),
        "Inside the untouched run": charts_html(_map_figures(maps), "packed"),
    }
    return document_html(
        f"tenuto on {comparison.model}",
        overview_html(comparison),
        sections,
        "Made by tenuto from compare.json, schema 1.",
    )


def _clips_html(comparison: Comparison, folder: Path) -> str:
    rows = [row for row in comparison.rows if row.kind is not Kind.OFF]
    slugs = [row.slug for row in rows if row.slug is not None]
    films = films_in_budget(folder, slugs, FILM_BUDGET_BYTES)
    return gallery_html(films, rows, comparison.prompts) if films else ""


def _gain_figures(rows: tuple[Row, ...]) -> list[tuple[str | None, str]]:
    return [
        (
            pareto_svg(rows, speed, "speed", "measured speed-up"),
            "Against measured speed-up.",
        ),
        (
            pareto_svg(rows, lambda row: row.macs_ratio, "macs", "MACs ratio (counted)"),
            "Against counted MACs: what the arithmetic alone would allow.",
        ),
        (
            prompts_svg(rows, "prompts"),
            "Each dot is a prompt, each bar a median. At the left: what a technique spoils most.",
        ),
    ]


def _map_figures(maps: Maps) -> list[tuple[str | None, str]]:
    cut = f" The first {MAX_PANELS} of {{}} are shown."
    panels = [
        ("similarity", maps.similarity, _SIMILARITY, "Likeness of a block's output to that of "
         "the step before."),
        ("forecast", maps.forecast_error, _FORECAST_ERROR, "Error of a block's forecast, had it "
         "been used."),
        ("pmr", maps.pmr, _PMR, "Pair match ratio of two steps: the share of tokens that keep "
         "their partner."),
    ]  # fmt: skip
    figures = [
        (
            panels_svg(matrices, name, style),
            words + (cut.format(len(matrices)) if len(matrices) > MAX_PANELS else ""),
        )
        for name, matrices, style, words in panels
    ]
    curve = (
        pmr_curve_svg(maps.pmr, "pmr-gap"),
        "Pair match ratio against the gap between two steps: how long a match lasts. Bands: 10th "
        "to 90th percentile over step pairs.",
    )
    return [*figures, curve]
