"""What each technique's run left out, as figures: shares by block and step, and masks."""

from collections.abc import Sequence
from html import escape

import numpy as np

from tenuto.report.document import figure_html
from tenuto.report.heatmaps import PanelStyle, panels_svg
from tenuto.report.maps import Picture, Skipped

MAX_TECHNIQUES = 12
_COLOURS = ("#123f6d", "#7aadd9", "#f2d8a0")
_WORDS = {0: "0 %: all done", 0.5: "50 %", 1: "100 %: none"}
_AXES = {
    "tokens": ("row of the token grid", "column of the token grid, frame by frame"),
    "hidden values": ("token", "hidden value"),
    "scores": ("query", "key"),
}
_KINDS = {
    "projections": "attention: linear layers",
    "scores": "attention: scores",
    "cross-attention": "cross-attention",
    "feed-forward": "feed-forward",
    "block": "whole block",
}


def skipped_html(runs: Sequence[Skipped]) -> str:
    """Write a part of the page for each technique; nothing where none is known."""
    if not runs:
        return ""
    shown = "".join(_run_html(run, number) for number, run in enumerate(runs[:MAX_TECHNIQUES]))
    cut = f" The first {MAX_TECHNIQUES} of {len(runs)} are shown."
    return (
        '<p class="lead">Counted in the run on the first caption: the share of the '
        "multiply-accumulates of each block and step that was not done. Masks are of one block "
        "(the middle one) at up to three steps, reduced to shares of equal parts. What is counted "
        "as skipped is what hardware could skip; whether time is saved is in the table above."
        f"{cut if len(runs) > MAX_TECHNIQUES else ''}</p>{shown}"
    )


def _run_html(run: Skipped, number: int) -> str:
    figures = [(_shares_svg(run, f"skipped-{number}"), _shares_words(run))]
    for place, what in enumerate(dict.fromkeys(picture.what for picture in run.pictures)):
        pictures = [picture for picture in run.pictures if picture.what == what]
        figures.append((_masks_svg(pictures, f"mask-{number}-{place}"), _mask_words(pictures)))
    drawn = "".join(
        figure_html(svg, words) if svg is not None else f"<p>{escape(words)}</p>"
        for svg, words in figures
    )
    return (
        f"<article><h3>{escape(run.technique)}</h3>"
        f'<div class="charts paired skipped">{drawn}</div></article>'
    )


def _shares_svg(run: Skipped, name: str) -> str | None:
    touched = {_KINDS.get(kind, kind): m for kind, m in run.shares.items() if _is_touched(m)}
    drawn = list(touched.values())
    if len(drawn) > 1 and all(np.array_equal(m, drawn[0], equal_nan=True) for m in drawn):
        touched = {"every part of the block alike": drawn[0]}
    style = PanelStyle(
        what="share skipped",
        across="step",
        down="block",
        colours=_COLOURS,
        limits=(0, 1),
        words=_WORDS,
    )
    return panels_svg(touched, name, style)


def _shares_words(run: Skipped) -> str:
    means = [
        f"{_KINDS.get(kind, kind)} {100 * float(np.nanmean(matrix)):.1f} %"
        for kind, matrix in run.shares.items()
        if _is_touched(matrix)
    ]
    untouched = [_KINDS.get(k, k) for k, m in run.shares.items() if not _is_touched(m)]
    steps = f"Skipped over {run.num_steps} steps, mean: {', '.join(means) or 'nothing'}."
    return steps + (f" Done in full: {', '.join(untouched)}." if untouched else "")


def _is_touched(matrix: np.ndarray) -> bool:
    return bool(np.nanmax(np.nan_to_num(matrix)) > 0)


def _masks_svg(pictures: Sequence[Picture], name: str) -> str | None:
    first = pictures[0]
    down, across = _AXES.get(first.what, ("row", "column"))
    style = PanelStyle(
        what="share skipped",
        across=across,
        down=down,
        colours=_COLOURS,
        num_columns=1 if first.what == "tokens" else len(pictures),
        limits=(0, 1),
        words=_WORDS,
        units=(first.num_rows, first.num_columns),
    )
    return panels_svg({f"step {p.step}": p.skipped for p in pictures}, name, style)


def _mask_words(pictures: Sequence[Picture]) -> str:
    first = pictures[0]
    place = {"scores": "first head of the attention", "hidden values": "feed-forward"}
    where = f"block {first.block}, {place.get(first.what, 'token grid')}"
    verb = {"hidden values": "reused", "scores": "dropped"}.get(first.what, "not computed")
    means = ", ".join(
        f"{100 * float(np.nanmean(picture.skipped)):.1f} % at step {picture.step}"
        for picture in pictures
    )
    size = f"{first.num_rows} x {first.num_columns}"
    cells = " x ".join(map(str, first.skipped.shape))
    coarse = "" if size == cells else f", drawn as {cells} parts"
    return f"{first.what.capitalize()} {verb} in {where} ({size}{coarse}): {means}."
