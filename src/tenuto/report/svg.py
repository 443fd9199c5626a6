"""Matplotlib figures as inline SVG that takes its colours and font from the page."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from tenuto.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Drawn with these stand-ins, which no colour map holds; the page's CSS says what they look like.
INK = "#010203"
FAINT = "#010204"
TENUTO = "#010205"
PEER = "#010206"
CONTROL = "#010207"
_CSS_COLOURS = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    TENUTO: "var(--tenuto)",
    PEER: "var(--peer)",
    CONTROL: "var(--control)",
}
_POINTS_PER_INCH = 72


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Set what every figure shares: page colours, real text, and ids that repeat run for run.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError(
            "the report needs matplotlib: pip install 'tenuto[report]'"
        ) from error
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "DejaVu Sans",
        "font.size": 11,
        "text.color": INK,
        "text.parse_math": False,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.titlesize": 10,
        "xtick.labelsize": 10,
        "ytick.labelsize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "grid.color": FAINT,
        "grid.linewidth": 0.4,
        "grid.alpha": 0.5,
        "image.interpolation": "none",
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A technique may be named in any script; the reader's browser has the glyphs.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def new_figure(width_px: float, height_px: float) -> "Figure":
    """Make a figure whose SVG units are pixels; call inside `drawing`."""
    from matplotlib.figure import Figure

    return Figure(
        figsize=(width_px / _POINTS_PER_INCH, height_px / _POINTS_PER_INCH),
        dpi=_POINTS_PER_INCH,
        layout="constrained",
    )


def inline_svg(
    figure: "Figure", name: str, alt: str, tooltips: Mapping[str, str] | None = None
) -> str:
    """Write a figure as an SVG element for a page that holds several.

    Args:
        figure: Drawn with the stand-in colours above.
        name: Unique in the page, letters and dashes; every id of the element starts with it.
        alt: What the figure shows, for those who do not see it.
        tooltips: gid of an artist -> text shown when it is pointed at.
    """
    written = io.StringIO()
    metadata: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(written, format="svg", transparent=True, metadata=metadata)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    # matplotlib's own <style> would reach the whole page.
    svg = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r"font: [^;\"]*?([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    for colour, css in _CSS_COLOURS.items():
        svg = svg.replace(colour, css)
    for gid, text in (tooltips or {}).items():
        opening = f'<g id="{name}-{gid}">'
        svg = svg.replace(opening, f"{opening}<title>{escape(text)}</title>")
    return re.sub(
        r"<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>",
        lambda match: (
            f'<svg class="chart" viewBox="{match[1]}" role="img" aria-label="{escape(alt)}" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink">'
        ),
        svg,
        count=1,
        flags=re.DOTALL,
    )
