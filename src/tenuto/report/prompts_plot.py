"""PSNR prompt by prompt: the spread that a mean hides."""

from collections.abc import Sequence
from statistics import median

from tenuto.report.comparison import Row
from tenuto.report.pareto import KIND_COLOURS
from tenuto.report.svg import INK, drawing, inline_svg, new_figure

_LONGEST_LABEL = 34


def prompts_svg(rows: Sequence[Row], name: str) -> str | None:
    """Draw one line of dots per row, a dot per prompt and a bar at the median.

    Returns:
        An SVG element, or None when no row knows the PSNR of two prompts.
    """
    spreads = [
        (row, known)
        for row in rows
        if len(known := [db for db in row.psnr_per_prompt_db if db is not None]) > 1
    ]
    if not spreads:
        return None
    with drawing(name):
        figure = new_figure(600, 70 + 21 * len(spreads))
        axes = figure.add_subplot(xlabel="PSNR of each prompt to the untouched run, dB")
        axes.grid(visible=True, axis="x")
        for place, (row, known) in enumerate(spreads):
            colour = KIND_COLOURS[row.kind]
            heights = [place] * len(known)
            axes.plot(known, heights, "o", markersize=4.5, alpha=0.4, mew=0, color=colour)
            middle = median(known)
            axes.vlines(middle, place - 0.34, place + 0.34, color=INK, linewidth=1.6, zorder=3)
        labels = [_label(row.technique) for row, _ in spreads]
        axes.set_yticks(range(len(spreads)), labels, fontsize=9.5)
        axes.set_ylim(len(spreads) - 0.4, -0.6)
        said = "; ".join(
            f"{row.technique}: {min(known):.1f} to {max(known):.1f} dB" for row, known in spreads
        )
        return inline_svg(figure, name, f"PSNR of each prompt, one line per row. {said}")


def _label(technique: str) -> str:
    return (
        technique if len(technique) <= _LONGEST_LABEL else technique[: _LONGEST_LABEL - 3] + "..."
    )
