"""Figures of a simulation: where cycles, joules and area went, roofline, ladder."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tenuto.report.simulation import Machine, Rung
from tenuto.report.svg import CONTROL, FAINT, INK, TENUTO, drawing, inline_svg, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH_PX = 620
_LEAST_SHARE = 0.005
# The first is what counts as work; the others differ in hue and in lightness, on either paper.
_COLOURS = (
    TENUTO, "#e0a030", "#3f9c5f", "#b561bd", "#8a6d3b", "#d3527c", "#4fb3bf", "#9a8a1f", "#7f6fd0",
    "#c0562f", "#6f8f2f", "#a0a4ac",
)  # fmt: skip
_OTHER = "other"


def stacked_svg(
    bars: Mapping[str, Mapping[str, float]], name: str, what: str, totals: Mapping[str, str]
) -> str | None:
    """Draw one bar a machine, each filled by the shares of its parts.

    Parts below half a percent of every bar are drawn together.

    Args:
        bars: Machine -> part -> amount.
        name: Unique in the page.
        what: Of what the shares are, such as "cycles".
        totals: Machine -> its whole amount as text.

    Returns:
        An SVG element, or None when nothing has an amount.
    """
    shares = {bar: _shares(parts) for bar, parts in bars.items() if sum(parts.values()) > 0}
    if not shares:
        return None
    parts = _parts(shares)
    with drawing(name):
        figure = new_figure(_WIDTH_PX, 110 + 34 * len(shares) + 20 * -(-len(parts) // 3))
        axes = figure.add_subplot(xlabel=f"share of the machine's own {what}", xlim=(0, 1))
        _draw_bars(axes, shares, parts)
        labels = [f"{bar}\n{totals[bar]}" for bar in shares]
        axes.set_yticks(range(len(shares)), labels=labels, fontsize=9.5)
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
        said = (f"{bar} ({totals[bar]}): {shares_text(bars[bar])}" for bar in shares)
        return inline_svg(figure, name, f"Shares of {what}, simulated. " + "; ".join(said))


def shares_text(parts: Mapping[str, float]) -> str:
    """Name the parts that matter, the largest first."""
    shares = sorted(_shares(parts).items(), key=lambda item: -item[1])
    return ", ".join(
        f"{_words(part)} {100 * share:.1f} %" for part, share in shares if share >= _LEAST_SHARE
    )


def roofline_svg(machines: Sequence[Machine], name: str) -> str:
    """Draw each machine's roof and where its run stands under it; simulated."""
    intensities = [machine.macs / machine.dram_bytes for machine in machines]
    ridges = [machine.peak_macs_per_s / machine.peak_bytes_per_s for machine in machines]
    low, high = min(*intensities, *ridges) / 4, max(*intensities, *ridges) * 4
    with drawing(name):
        figure = new_figure(_WIDTH_PX, 400)
        axes = figure.add_subplot(
            xlabel="MACs per byte of DRAM traffic", ylabel="10^12 MACs per second", xscale="log",
            yscale="log", xlim=(low, high),
        )  # fmt: skip
        write_plainly(axes)
        axes.grid(visible=True)
        said: list[str] = []
        for place, (machine, intensity) in enumerate(zip(machines, intensities, strict=True)):
            colour = _COLOURS[place % len(_COLOURS)]
            ridge = machine.peak_macs_per_s / machine.peak_bytes_per_s
            roof = [min(x * machine.peak_bytes_per_s, machine.peak_macs_per_s) / 1e12
                    for x in (low, ridge, high)]  # fmt: skip
            reached = machine.macs / machine.seconds
            axes.plot([low, ridge, high], roof, color=colour, linewidth=1.3)
            axes.plot([intensity], [reached / 1e12], "os^Dv"[place % 5], color=colour, markersize=8,
                      label=machine.name)  # fmt: skip
            share = (
                100 * reached / min(intensity * machine.peak_bytes_per_s, machine.peak_macs_per_s)
            )
            said.append(f"{machine.name} at {intensity:.0f} MACs a byte, {share:.0f} % of its roof")
        figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9.5)
        return inline_svg(figure, name, "Roofline, simulated. " + "; ".join(said))


def ladder_svg(ladders: Mapping[str, Sequence[Rung]], name: str) -> str | None:
    """Draw each chip's speed-up over its own dense run, recipe by recipe; simulated."""
    climbing = {chip: rungs for chip, rungs in ladders.items() if len(rungs) > 1}
    if not climbing:
        return None
    bars = [
        (f"{chip}: {rung.recipe}", rungs[0].seconds / rung.seconds)
        for chip, rungs in climbing.items()
        for rung in rungs
    ]
    with drawing(name):
        figure = new_figure(_WIDTH_PX, 70 + 22 * len(bars))
        axes = figure.add_subplot(xlabel="speed-up over the same chip's dense run")
        colours = [CONTROL if label.endswith(": dense") else TENUTO for label, _ in bars]
        axes.barh(range(len(bars)), [speed for _, speed in bars], color=colours, height=0.7)
        axes.axvline(1, color=FAINT, linewidth=0.8)
        for place, (_, speed) in enumerate(bars):
            axes.annotate(f"{speed:.2f}x", (speed, place), (4, 0), textcoords="offset points",
                          va="center", color=INK, fontsize=9.5)  # fmt: skip
        axes.set_yticks(range(len(bars)), labels=[label for label, _ in bars], fontsize=9.5)
        axes.set_xlim(0, 1.15 * max(speed for _, speed in bars))
        axes.invert_yaxis()
        said = ", ".join(f"{label} {speed:.2f}x" for label, speed in bars)
        return inline_svg(figure, name, f"Speed-up over the dense run, simulated: {said}")


def write_plainly(axes: "Axes") -> None:
    """Number logarithmic axes at 1, 2 and 5 of each decade; matplotlib would write formulas."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_bars(
    axes: "Axes", shares: Mapping[str, Mapping[str, float]], parts: Sequence[str]
) -> None:
    left = [0.0] * len(shares)
    for place, part in enumerate(parts):
        named = part != _OTHER
        widths = [
            bar.get(part, 0.0) if named else 1 - start
            for bar, start in zip(shares.values(), left, strict=True)
        ]
        colour = _COLOURS[place % (len(_COLOURS) - 1)] if named else _COLOURS[-1]
        axes.barh(range(len(shares)), widths, left=left, color=colour, height=0.62,
                  label=_words(part))  # fmt: skip
        left = [start + width for start, width in zip(left, widths, strict=True)]


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    return {part: amount / total for part, amount in parts.items() if amount > 0}


def _parts(shares: Mapping[str, Mapping[str, float]]) -> list[str]:
    """List the parts to draw in the order of the files, and what stands for the rest."""
    names = list(dict.fromkeys(part for bar in shares.values() for part in bar))
    shown = [p for p in names if any(bar.get(p, 0) >= _LEAST_SHARE for bar in shares.values())]
    shown = shown[: len(_COLOURS) - 1]
    return shown + ([_OTHER] if len(shown) < len(names) else [])


def _words(part: str) -> str:
    return part.replace("_", " ")
