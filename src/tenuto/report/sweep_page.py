"""A sweep as one HTML file: every point, those that none beats, and where their cycles went."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tenuto.report.document import charts_html, document_html, replace_text
from tenuto.report.simulation_figures import stacked_svg, write_plainly
from tenuto.report.svg import CONTROL, TENUTO, drawing, inline_svg, new_figure
from tenuto.report.sweep import Point, read_sweep_results, unbeaten

_MAX_BARS = 12


def write_sweep_report(path: Path, out: Path) -> Path:
    """Write the results of a sweep as one self-contained HTML page.

    Args:
        path: The .jsonl of `tenuto sweep`.
        out: The page; replaced only once the new one is whole.

    Raises:
        ResultError: The file is missing, empty, or a line of it is no result.
        MissingExtraError: matplotlib is not installed.
    """
    points = read_sweep_results(path)
    traces = dict.fromkeys(point.trace for point in points)
    sections = {
        escape(trace): _trace_html([p for p in points if p.trace == trace], f"sweep-{number}")
        for number, trace in enumerate(traces)
    }
    header = (
        "<h1>Sweep over accelerators</h1>"
        f'<p class="headline">{len(points)} points on {len(traces)} '
        f"{'trace' if len(traces) == 1 else 'traces'}, all simulated.</p>"
        '<p class="detail">Listed are the points that no other of the same trace beats in seconds, '
        "joules and mm2 at once.</p>"
    )
    footer = f"Made by tenuto from {path.name}. Nothing here was measured."
    replace_text(out, document_html("Sweep, simulated", header, sections, footer))
    return out


def _trace_html(points: Sequence[Point], name: str) -> str:
    front = unbeaten(points)
    shown = front[:_MAX_BARS]
    cut = f" The fastest {_MAX_BARS} are shown." if len(front) > _MAX_BARS else ""
    bars = {_label(number, point): point.cycles for number, point in enumerate(shown, 1)}
    seconds = {_label(n, point): f"{point.seconds:.3g} s" for n, point in enumerate(shown, 1)}
    figures = [
        (_scatter_svg(points, front, name), "Time against energy, each point a machine "
         "(simulated). Numbers are those of the table."),
        (stacked_svg(bars, f"{name}-cycles", "cycles", seconds),
         f"Where every cycle of the unbeaten points went (simulated).{cut}"),
    ]  # fmt: skip
    return _table_html(front) + charts_html(figures, "paired")


def _table_html(front: Sequence[Point]) -> str:
    rows = "".join(
        f'<tr><td>{number}</td><th scope="row">{escape(point.name)}</th>'
        f"<td>{point.seconds:.4g}</td><td>{point.energy_j:.4g}</td>"
        f"<td>{point.area_mm2:.1f}</td></tr>"
        for number, point in enumerate(front, 1)
    )
    head = "".join(
        f'<th scope="col">{title}</th>'
        for title in ("number", "machine", "seconds", "joules", "mm2")
    )
    return (
        '<div class="scroller" role="region" aria-label="Unbeaten points" tabindex="0">'
        '<table class="results"><caption class="unseen">Simulated points that no other beats'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _label(number: int, point: Point) -> str:
    return f"{number}. {point.accelerator}"


def _scatter_svg(points: Sequence[Point], front: Sequence[Point], name: str) -> str:
    with drawing(name):
        figure = new_figure(620, 380)
        axes = figure.add_subplot(xlabel="seconds", ylabel="joules", xscale="log", yscale="log")
        write_plainly(axes)
        axes.grid(visible=True)
        others = [point for point in points if point not in front]
        for label, group, colour, mark in (
            ("beaten", others, CONTROL, "o"),
            ("unbeaten", front, TENUTO, "D"),
        ):
            x, y = [p.seconds for p in group], [p.energy_j for p in group]
            axes.plot(x, y, mark, color=colour, label=label, markersize=6)
        for number, point in enumerate(front, 1):
            axes.annotate(str(number), (point.seconds, point.energy_j), (6, 4),
                          textcoords="offset points", fontsize=9.5)  # fmt: skip
        figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9.5)
        said = "; ".join(
            f"{number}: {point.name}, {point.seconds:.3g} s, {point.energy_j:.3g} J"
            for number, point in enumerate(front, 1)
        )
        return inline_svg(figure, name, f"Seconds against joules, simulated. Unbeaten: {said}")
