"""Fidelity against gain: one mark per row, the fewer-steps line, and the upper envelope."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenuto.report.comparison import Kind, Row
from tenuto.report.frontier import upper_envelope
from tenuto.report.labels import Box, place_labels
from tenuto.report.svg import CONTROL, FAINT, INK, PEER, TENUTO, drawing, inline_svg, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KIND_COLOURS = {Kind.TENUTO: TENUTO, Kind.PEER: PEER, Kind.CONTROL: CONTROL, Kind.OFF: FAINT}
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">", "h", "*")
_LONGEST_LABEL = 26
_WIDTH_PX, _HEIGHT_PX = 600, 480


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One row of the plot; `number` is its place in the table."""

    number: int
    row: Row
    gain: float
    psnr_db: float


def pareto_svg(
    rows: Sequence[Row], gain: Callable[[Row], float | None], name: str, gain_words: str
) -> str | None:
    """Plot mean PSNR against a gain.

    Args:
        rows: All rows of the table, in its order. Rows that are off are not drawn.
        gain: Larger is better; rows without it, or without a PSNR, are not drawn.
        name: Unique in the page.
        gain_words: Label of the horizontal axis.

    Returns:
        An SVG element, or None when fewer than two rows can be drawn.
    """
    marks = [
        Mark(number=number, row=row, gain=factor, psnr_db=row.psnr_db)
        for number, row in enumerate(rows, start=1)
        if row.kind is not Kind.OFF
        and row.psnr_db is not None
        and (factor := gain(row)) is not None
    ]
    if len(marks) < 2:
        return None
    with drawing(name):
        figure = new_figure(_WIDTH_PX, _HEIGHT_PX)
        axes = figure.add_subplot()
        axes.set_xlabel(gain_words)
        axes.set_ylabel("PSNR to the untouched run, dB")
        axes.grid(visible=True)
        axes.margins(0.09)
        _draw_marks(axes, marks)
        _draw_lines(axes, marks, upper_envelope(rows, gain))
        figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=10)
        _write_labels(figure, axes, marks)
        tooltips = {f"row-{mark.number}": _tooltip(mark) for mark in marks}
        return inline_svg(figure, name, _alt(marks, upper_envelope(rows, gain), gain), tooltips)


def family(technique: str) -> str:
    """Return the name of a technique without its settings.

    >>> family("dito:ratio=0.5"), family("DiTo (paper)"), family("(best)")
    ('dito', 'DiTo', '(best)')
    """
    return re.split(r"[\s:(,@=]", technique, maxsplit=1)[0] or technique


def _draw_marks(axes: "Axes", marks: Sequence[Mark]) -> None:
    shapes: dict[str, str] = {}
    for mark in marks:
        kin = family(mark.row.technique)
        # Set apart from the legend's text: a name that starts with _ would vanish from it.
        is_new = kin not in shapes
        shape = shapes.setdefault(kin, _SHAPES[len(shapes) % len(_SHAPES)])
        colour = KIND_COLOURS[mark.row.kind]
        (point,) = axes.plot(
            mark.gain,
            mark.psnr_db,
            marker=shape,
            markersize=7,
            color=colour,
            linestyle="none",
            zorder=4,
            gid=f"row-{mark.number}",
        )
        if is_new:
            point.set_label(kin.lstrip("_") or kin)
        if mark.row.psnr_ci95_db is not None:
            low, high = mark.row.psnr_ci95_db
            axes.vlines(mark.gain, low, high, color=colour, linewidth=1, alpha=0.55, zorder=2)


def _draw_lines(axes: "Axes", marks: Sequence[Mark], envelope: Sequence[Row]) -> None:
    controls = sorted((mark.gain, mark.psnr_db) for mark in marks if mark.row.kind is Kind.CONTROL)
    if len(controls) > 1:
        axes.plot(*zip(*controls, strict=True), color=CONTROL, linewidth=1, dashes=(4, 3), zorder=3)
    corners = sorted(
        (mark.gain, mark.psnr_db) for mark in marks if any(mark.row is row for row in envelope)
    )
    if len(corners) > 1:
        axes.step(
            *zip(*corners, strict=True),
            where="pre",
            color=INK,
            linewidth=5,
            alpha=0.12,
            zorder=1,
            label="upper envelope",
        )


def _write_labels(figure: "Figure", axes: "Axes", marks: Sequence[Mark]) -> None:
    """Label the marks where there is room; places are in pixels, so the layout ends here."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    texts = [axes.text(0, 0, _label(mark), fontsize=9.5, zorder=5) for mark in marks]
    boxes = [text.get_window_extent() for text in texts]
    frame = axes.get_window_extent()
    centres = [tuple(axes.transData.transform((mark.gain, mark.psnr_db))) for mark in marks]
    # Our own rows are labelled first: they are what the plot is read for.
    order = sorted(range(len(marks)), key=lambda index: marks[index].row.kind is not Kind.TENUTO)
    places = place_labels(
        [centres[index] for index in order],
        [(boxes[index].width + 2, boxes[index].height) for index in order],
        Box(left=frame.x0, bottom=frame.y0, right=frame.x1, top=frame.y1),
        [_interval_box(axes, mark) for mark in marks if mark.row.psnr_ci95_db is not None],
    )
    to_data = axes.transData.inverted()
    for index, place in zip(order, places, strict=True):
        if place is None:
            texts[index].remove()
            continue
        middle = ((place.left + place.right) / 2, (place.bottom + place.top) / 2)
        texts[index].set(position=to_data.transform(middle), ha="center", va="center")
        if _gap(centres[index], place) > 14:
            end = to_data.transform(_nearest(centres[index], place))
            start = (marks[index].gain, marks[index].psnr_db)
            axes.plot(*zip(start, end, strict=True), color=FAINT, linewidth=0.7, zorder=2)


def _interval_box(axes: "Axes", mark: Mark) -> Box:
    low, high = mark.row.psnr_ci95_db or (mark.psnr_db, mark.psnr_db)
    (x, bottom), (_, top) = axes.transData.transform([(mark.gain, low), (mark.gain, high)])
    return Box(left=x - 2, bottom=bottom, right=x + 2, top=top)


def _label(mark: Mark) -> str:
    technique = mark.row.technique
    if len(technique) <= _LONGEST_LABEL:
        return technique
    return f"{family(technique)[:_LONGEST_LABEL]} (row {mark.number})"


def _nearest(point: tuple[float, float], box: Box) -> tuple[float, float]:
    return min(max(point[0], box.left), box.right), min(max(point[1], box.bottom), box.top)


def _gap(point: tuple[float, float], box: Box) -> float:
    x, y = _nearest(point, box)
    return ((point[0] - x) ** 2 + (point[1] - y) ** 2) ** 0.5


def _tooltip(mark: Mark) -> str:
    return f"{mark.row.technique}: {mark.psnr_db:.1f} dB at {mark.gain:.2f}x"


def _alt(
    marks: Sequence[Mark], envelope: Sequence[Row], gain: Callable[[Row], float | None]
) -> str:
    corners = ", ".join(
        f"{row.technique} ({row.psnr_db:.1f} dB at {gain(row):.2f}x)" for row in envelope
    )
    return f"Scatter plot of {len(marks)} rows. On the upper envelope: {corners}."
