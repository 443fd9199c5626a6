"""A result folder as one HTML file that asks for nothing outside itself."""

import base64
import hashlib
from html import escape
from importlib.resources import files
from pathlib import Path

from tenuto.report.clips import films_in_budget
from tenuto.report.comparison import Comparison, Kind, Row, read_comparison
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
    _replace_text(out, html)
    return out


def _page_html(comparison: Comparison, maps: Maps, clips: Path) -> str:
    sections = {
        "All rows": table_html(comparison.rows) + settings_html(comparison.rows),
        "Clips side by side": _clips_html(comparison, clips),
        "Closeness against gain": _charts_html(
            _gain_figures(comparison.rows), "paired", reading_html(comparison.rows)
        ),
        "What was skipped": skipped_html(maps.skipped),
        "Inside the untouched run": _charts_html(_map_figures(maps), "packed"),
    }
    body = "".join(
        f"<section><h2>{title}</h2>{content}</section>"
        for title, content in sections.items()
        if content
    )
    assets = files("tenuto.report") / "assets"
    style = (assets / "report.css").read_text("utf-8")
    script = (assets / "report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Whatever a caption or a label may hold, only this script runs and nothing is fetched.
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>tenuto on {escape(comparison.model)}</title><style>{style}</style></head>\n"
        f"<body><header>{overview_html(comparison)}</header>\n<main>{body}</main>\n"
        "<footer>Made by tenuto from compare.json, schema 1.</footer>"
        f"<script>{script}</script></body></html>\n"
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


def _charts_html(figures: list[tuple[str | None, str]], layout: str, aside: str = "") -> str:
    drawn = "".join(
        f'<figure><div class="scroller" tabindex="0" role="region" aria-label="{escape(words)}">'
        f"{svg}</div><figcaption>{escape(words)}</figcaption></figure>"
        for svg, words in figures
        if svg is not None
    )
    return f'<div class="charts {layout}">{drawn}{aside}</div>' if drawn else ""


def _replace_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, "utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
