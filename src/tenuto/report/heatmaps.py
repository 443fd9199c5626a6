"""The content of maps.json as figures: matrices over blocks and steps, and PMR against the gap."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tenuto.report.svg import PEER, TENUTO, drawing, inline_svg, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MAX_PANELS = 12
_WIDTH_PX = 600
# Above this ratio of largest to smallest value, one linear colour scale would show one cell.
_LOG_SCALE_RATIO = 100.0
# Seen on light and on dark paper.
_LINE_COLOURS = (TENUTO, PEER, "#3f9c5f", "#b561bd", "#9a8a1f", "#d3527c")
_LINE_STYLES = ("-", "--")


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelStyle:
    """How one family of matrices is drawn.

    Without `limits` the colours span the values. `colours` run from low to high, or name a map of
    matplotlib. `words` names values on the colour key. `units` are the (rows, columns) that every
    matrix stands for, where its cells are coarser.
    """

    what: str
    across: str
    down: str
    colours: str | tuple[str, ...]
    num_columns: int = 2
    limits: tuple[float, float] | None = None
    words: Mapping[float, str] = field(default_factory=dict)
    units: tuple[int, int] | None = None


def panels_svg(matrices: Mapping[str, np.ndarray], name: str, style: PanelStyle) -> str | None:
    """Draw labelled matrices as panels with one colour scale, the first row of each on top.

    At most `MAX_PANELS` are drawn; NaN stays blank.

    Returns:
        An SVG element, or None when no matrix has a known value.
    """
    shown = {
        label: matrix
        for label, matrix in list(matrices.items())[:MAX_PANELS]
        if not np.isnan(matrix).all()
    }
    if not shown:
        return None
    scaled, what = _scaled(shown, style)
    values = np.concatenate([matrix[~np.isnan(matrix)] for matrix in scaled.values()])
    limits = style.limits or (float(values.min()), float(values.max()))
    with drawing(name):
        num_columns = min(style.num_columns, len(scaled))
        num_rows = math.ceil(len(scaled) / num_columns)
        panel_px = _panel_height_px(list(scaled.values()), num_columns)
        figure = new_figure(_WIDTH_PX, 34 + num_rows * (panel_px + 38))
        grid = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
        for axes, (label, matrix) in zip(grid, scaled.items(), strict=False):
            _draw_panel(axes, label, matrix, limits, style)
        for axes in grid[len(scaled) :]:
            axes.remove()
        figure.supxlabel(style.across, fontsize=11)
        figure.supylabel(style.down, fontsize=11)
        _draw_key(figure, limits, what, style)
        return inline_svg(figure, name, _alt(shown, style))


def pmr_curve_svg(pmr: Mapping[str, np.ndarray], name: str) -> str | None:
    """Plot the mean PMR over all step pairs (k, k + gap) against the gap, one line per label.

    The band spans the 10th to the 90th percentile over the pairs of a gap.

    Args:
        pmr: Label -> (steps, steps).
        name: Unique in the page.

    Returns:
        An SVG element, or None when no matrix knows a pair of two steps.
    """
    curves = {label: pmr_by_gap(matrix) for label, matrix in list(pmr.items())[:MAX_PANELS]}
    curves = {label: curve for label, curve in curves.items() if len(curve[0])}
    if not curves:
        return None
    with drawing(name):
        figure = new_figure(_WIDTH_PX, 360)
        axes = figure.add_subplot(xlabel="gap between two steps", ylabel="PMR", ylim=(0, 1.02))
        axes.grid(visible=True)
        said: list[str] = []
        for place, (label, (gaps, mean, low, high)) in enumerate(curves.items()):
            colour = _LINE_COLOURS[place % len(_LINE_COLOURS)]
            dashes = _LINE_STYLES[place // len(_LINE_COLOURS) % len(_LINE_STYLES)]
            name_shown = label.lstrip("_") or "-"
            axes.plot(gaps, mean, dashes, color=colour, linewidth=1.6, label=name_shown)
            axes.fill_between(gaps, low, high, color=colour, alpha=0.12, linewidth=0)
            said.append(f"{label}: {mean[0]:.2f} at gap {gaps[0]}, {mean[-1]:.2f} at {gaps[-1]}")
        if len(curves) > 1:
            figure.legend(loc="outside right upper", frameon=False, fontsize=9.5)
        return inline_svg(figure, name, "Mean PMR against the gap. " + "; ".join(said))


def pmr_by_gap(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Reduce a (steps, steps) matrix to gaps 1.. and the mean, 10th and 90th percentile at each.

    A pair known on one side of the diagonal only is taken from there. Unknown pairs (NaN) are left
    out, and so is a gap without any known pair.

    >>> [part.tolist() for part in pmr_by_gap(np.array([[1, 0.5], [np.nan, 1]]))]
    [[1], [0.5], [0.5], [0.5]]
    """
    whole = np.where(np.isnan(matrix), matrix.T, matrix)
    gaps: list[int] = []
    rows: list[tuple[float, float, float]] = []
    for gap in range(1, len(whole)):
        pairs = np.diagonal(whole, gap)
        pairs = pairs[~np.isnan(pairs)]
        if pairs.size:
            gaps.append(gap)
            low, high = np.percentile(pairs, (10, 90))
            rows.append((float(pairs.mean()), float(low), float(high)))
    means, lows, highs = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return np.array(gaps, dtype=np.int64), means, lows, highs


def _scaled(
    matrices: Mapping[str, np.ndarray], style: PanelStyle
) -> tuple[dict[str, np.ndarray], str]:
    """Return the values to colour and what they are: their log10 where they span decades."""
    smallest = min(float(np.nanmin(matrix)) for matrix in matrices.values())
    largest = max(float(np.nanmax(matrix)) for matrix in matrices.values())
    if style.limits is None and smallest > 0 and largest / smallest > _LOG_SCALE_RATIO:
        return {label: np.log10(matrix) for label, matrix in matrices.items()}, (
            f"{style.what}, log10"
        )
    return dict(matrices), style.what


def _panel_height_px(matrices: list[np.ndarray], num_columns: int) -> float:
    """Make square matrices square; give others about 11 pixels a row, within reason."""
    if all(matrix.shape[0] == matrix.shape[1] for matrix in matrices):
        return min(320.0, 0.8 * _WIDTH_PX / num_columns)
    return min(220.0, max(70.0, 11.0 * max(len(matrix) for matrix in matrices)))


def _draw_panel(
    axes: "Axes",
    label: str,
    matrix: np.ndarray,
    limits: tuple[float, float],
    style: PanelStyle,
) -> None:
    from matplotlib.ticker import MaxNLocator

    rows, columns = style.units or matrix.shape
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    colours = _colour_map(style)
    place = axes.get_subplotspec()
    axes.imshow(
        matrix, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto", extent=extent,
        gid=None if place is None else f"cells-{place.num1}",  # equal pictures need their own ids
    )  # fmt: skip
    axes.set_title(label if len(label) <= 40 else label[:37] + "...", loc="left", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(labelsize=9.5)


def _draw_key(figure: "Figure", limits: tuple[float, float], what: str, style: PanelStyle) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low, high = limits if limits[1] > limits[0] else (limits[0] - 0.5, limits[1] + 0.5)
    scale = ScalarMappable(Normalize(low, high), cmap=_colour_map(style))
    key = figure.colorbar(scale, ax=figure.axes, pad=0.02, fraction=0.04, label=what)
    # The key's own 256 quadrangles show seams and weigh 40 kB; one small image does neither.
    if key.solids is not None:
        key.solids.remove()
    ramp = np.linspace(high, low, 64)[:, None]
    key.ax.imshow(ramp, cmap=_colour_map(style), extent=(0, 1, low, high), aspect="auto")
    if style.words:
        key.set_ticks(list(style.words), labels=list(style.words.values()))


def _colour_map(style: PanelStyle) -> "str | Colormap":
    from matplotlib.colors import LinearSegmentedColormap

    if isinstance(style.colours, str):
        return style.colours
    return LinearSegmentedColormap.from_list(style.what, style.colours)


def _alt(matrices: Mapping[str, np.ndarray], style: PanelStyle) -> str:
    said = "; ".join(
        f"{label}: {np.nanmin(matrix):.3g} to {np.nanmax(matrix):.3g}, "
        f"mean {np.nanmean(matrix):.3g}"
        for label, matrix in matrices.items()
    )
    return f"Heat maps of {style.what} by {style.down} and {style.across}. {said}."
