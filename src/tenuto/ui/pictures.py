"""What the page shows of trials, as HTML: clips, numbers, skipped work, and the Pareto plot."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor

from tenuto.report.clips import Film, film_from_clip
from tenuto.report.columns import seconds_text
from tenuto.report.comparison import SCHEMA, Row, read_comparison
from tenuto.report.maps import read_maps
from tenuto.report.pareto import pareto_svg
from tenuto.report.skipped import skipped_html
from tenuto.ui.trials import Trial

_LONGEST_SIDE = 256
_SHOWN_SIDE_PX = 256
_FRAME_S = 0.1


def clips_html(trial: Trial) -> str:
    """Return both clips and their difference, playing in step."""
    sample, reference = _frames(trial.sample), _frames(trial.reference)
    pair = (
        film_from_clip(reference, reference, _LONGEST_SIDE),
        film_from_clip(sample, reference, _LONGEST_SIDE),
    )
    titles = ("untouched", trial.row["technique"])
    figures = [_figure(title, _strip(film)) for title, film in zip(titles, pair, strict=True)]
    both = "".join(_strip(film) for film in pair)
    figures.append(_figure("difference, 8 times", both, "difference"))
    return f'<div class="clips">{"".join(figures)}</div>'


def numbers_html(trials: Sequence[Trial]) -> str:
    """Return a table of all trials, the last one on top."""
    heads = ("technique", "PSNR, dB", "SSIM", "seconds", "untouched", "speed-up", "MACs")
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(trial))}</tr>"
        for trial in reversed(trials)
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    return (
        f'<div class="scroller"><table class="numbers"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div><p class='note'>One timed run each, on a machine that "
        "does other things too, with the counting of skipped work switched on: "
        "<code>tenuto compare --speed</code> times properly.</p>"
    )


def skipped_work_html(trial: Trial) -> str:
    """Return the shares of the work that were left out, by block and step."""
    if trial.skipped is None:
        return "<p>Counted for techniques of tenuto only.</p>"
    with TemporaryDirectory() as folder:
        file = Path(folder) / "maps.json"
        file.write_text(json.dumps({"skipped": [trial.skipped]}), encoding="utf-8")
        return skipped_html(read_maps(file).skipped)


def pareto_html(trials: Sequence[Trial]) -> str:
    """Return PSNR against measured speed-up over all trials."""
    svg = pareto_svg(_rows(trials), lambda row: row.speedup, "pareto", "speed-up, measured")
    if svg is None:
        return "<p>The plot begins with the second trial that changes the picture.</p>"
    return f'<figure class="plot">{svg}</figure>'


def _rows(trials: Sequence[Trial]) -> Sequence[Row]:
    """Return the rows as the report reads them from a result file."""
    if not trials:
        return ()
    content: dict[str, Any] = {"schema": SCHEMA, "rows": [trial.row for trial in trials]}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "compare.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        return read_comparison(file).rows


def _cells(trial: Trial) -> tuple[str, ...]:
    row = trial.row
    ratio = row["macs_ratio"]
    return (
        row["technique"],
        "identical" if row["identical"] else f"{row['psnr_db']:.1f}",
        f"{row['ssim']:.4f}",
        seconds_text(row["seconds_median"]),
        seconds_text(trial.reference_s),
        f"{row['speedup']:.2f}x",
        "not counted" if ratio is None else f"{ratio:.2f}x fewer",
    )


def _frames(sample: Tensor) -> np.ndarray:
    """Return (frames, height, width, 3), uint8."""
    return (sample * 255).round().byte().permute(0, 2, 3, 1).numpy().astype(np.uint8)


def _figure(title: str, inside: str, kind: str = "") -> str:
    return (
        f'<figure><figcaption title="{escape(title)}">{escape(title)}</figcaption>'
        f'<div class="film {kind}">{inside}</div></figure>'
    )


def _strip(film: Film) -> str:
    """Return a strip of frames that moves one frame at a time behind a window of one frame."""
    scale = max(1, _SHOWN_SIDE_PX // max(film.frame_width, film.frame_height))
    width, height = film.frame_width * scale, film.frame_height * scale
    play = f"animation: film {film.num_frames * _FRAME_S:.1f}s steps({film.num_frames}) infinite;"
    return (
        f'<div class="window" style="width: {width}px; height: {height}px">'
        f'<img alt="" src="{film.uri}" style="width: {width * film.num_frames}px; '
        f'height: {height}px; {play if film.num_frames > 1 else ""}"></div>'
    )
