"""The top of the page: the headline, rows at equal time, and where the numbers come from."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, TypeGuard

from tenuto.report.columns import seconds_text
from tenuto.report.comparison import Comparison, Row
from tenuto.report.summary import SpeedBand, headline, speed, speed_bands
from tenuto.report.table import MISSING

_REFERENCE_WORDS = {
    "steps": "steps",
    "scheduler": "scheduler",
    "seed": "seed",
    "num_prompts": "prompts",
    "guidance_scale": "guidance scale",
}
_MACHINE_WORDS = {
    "cpu": "processor",
    "cores": "cores",
    "threads": "threads used",
    "memory_gib": "memory, GiB",
    "platform": "platform",
}


def overview_html(comparison: Comparison) -> str:
    """Write the headline, the rows at equal time, and the facts about the run."""
    bands = speed_bands(comparison.rows)
    finding = headline(comparison.rows)
    return (
        f"<h1>tenuto on {escape(comparison.model)}</h1>"
        f'<p class="headline">{escape(finding.sentence)}</p>'
        f'<p class="detail">{escape(finding.detail)} dB: PSNR to the output of the untouched model '
        "for the same prompts and seed, mean over prompts; higher is closer.</p>"
        f"{_repeat_warning_html(comparison.reference)}"
        f"{_bands_html(bands) if bands else ''}{_facts_html(comparison)}"
    )


def _repeat_warning_html(reference: Mapping[str, Any]) -> str:
    if reference.get("repeat_identical") is not False:
        return ""
    return (
        '<p role="note"><b>The untouched run, repeated, did not give the same bits.</b> Part of '
        "every difference below is the machine's own, not the technique's.</p>"
    )


def _bands_html(bands: Sequence[SpeedBand]) -> str:
    body = "".join(
        f'<tr><th scope="row">about {band.speed:g}x</th>'
        f"{_contender_html(band.tenuto)}{_contender_html(band.control)}"
        f"{_contender_html(band.peer)}</tr>"
        for band in bands
    )
    return (
        '<div class="scroller" role="region" aria-label="At equal time" tabindex="0">'
        '<table class="bands"><caption>At equal measured time: mean PSNR to the untouched run, '
        "and the speed-up of each row</caption>"
        '<thead><tr><td></td><th scope="col">best of tenuto</th><th scope="col">fewer steps</th>'
        f'<th scope="col">best peer</th></tr></thead><tbody>{body}</tbody></table></div>'
    )


def _contender_html(row: Row | None) -> str:
    if row is None:
        return f'<td class="missing">{MISSING}</td>'
    return (
        f"<td><b>{row.psnr_db:.1f} dB</b><br>"
        f"<small>{escape(row.technique)}, {speed(row):.2f}x</small></td>"
    )


def _facts_html(comparison: Comparison) -> str:
    blocks = {
        "Command": f"<pre>{escape(comparison.command)}</pre>" if comparison.command else "",
        "Measured and counted": f"<p>{_provenance(comparison.rows)}</p>",
        "Untouched run": _list_html(_reference_facts(comparison.reference)),
        "Machine": _list_html(_named(comparison.machine, _MACHINE_WORDS)),
        "Versions": _list_html({**comparison.versions, "made": comparison.created}),
    }
    return (
        '<div class="facts">'
        + "".join(f"<div><h2>{title}</h2>{body}</div>" for title, body in blocks.items() if body)
        + "</div>"
    )


def _provenance(rows: Sequence[Row]) -> str:
    timed = any(row.measured and row.seconds_median is not None for row in rows)
    time = (
        "Seconds and speed-up are measured on this machine, in interleaved runs."
        if timed
        else "Nothing was timed here."
    )
    foreign = (
        " Rows tagged <i>not measured</i> are simulated or quoted, and have no time here."
        if any(not row.measured for row in rows)
        else " Nothing is simulated or quoted."
    )
    return (
        f"{time} MACs, matching and state are counted. Closeness is computed between outputs of "
        f"equal prompts, seed, scheduler and steps.{foreign}"
    )


def _reference_facts(reference: Mapping[str, Any]) -> dict[str, Any]:
    facts = _named({key: reference.get(key) for key in _REFERENCE_WORDS}, _REFERENCE_WORDS)
    seconds = [reference.get(f"seconds_{part}") for part in ("median", "min", "max")]
    known = [value for value in seconds if _is_number(value)]
    if len(known) == len(seconds):
        median, low, high = map(seconds_text, known)
        facts["seconds"] = f"{median} [{low} to {high}]"
    if _is_number(reference.get("macs")):
        facts["MACs"] = f"{reference['macs'] / 1e12:.3g} x 10^12"
    if "repeat_identical" in reference:
        facts["repeated: same bits"] = reference["repeat_identical"]
    return facts


def _named(values: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Put the known keys first under their words; unknown keys keep their name."""
    known = {word: values[key] for key, word in words.items() if key in values}
    return known | {key: value for key, value in values.items() if key not in words}


def _list_html(facts: Mapping[str, Any]) -> str:
    items = "".join(
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(_words(value))}</dd></div>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<dl>{items}</dl>" if items else ""


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
