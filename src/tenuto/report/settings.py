"""The exact settings of every row, and what could not be reduced and why."""

import json
from collections.abc import Sequence
from html import escape

from tenuto.report.comparison import Row


def settings_html(rows: Sequence[Row]) -> str:
    """Write a folded table of settings and dense reasons; empty when no row has either."""
    body = "".join(
        f'<tr><td class="count">{number}</td><th scope="row">{escape(row.technique)}</th>'
        f'<td class="words">{_pairs_html(row.params)}</td>'
        f'<td class="words">{_pairs_html(row.dense_reasons)}</td></tr>'
        for number, row in enumerate(rows, start=1)
        if row.params or row.dense_reasons
    )
    if not body:
        return ""
    return (
        "<details><summary>Settings of every row, and what ran dense and why</summary>"
        '<div class="scroller" role="region" aria-label="Settings" tabindex="0">'
        '<table class="settings"><thead><tr><th scope="col">#</th><th scope="col">technique</th>'
        '<th scope="col">settings</th><th scope="col">calls that ran dense</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>"
    )


def _pairs_html(pairs: object) -> str:
    if not isinstance(pairs, dict) or not pairs:
        return "-"
    return ", ".join(
        f"<code>{escape(name)} = {escape(json.dumps(value))}</code>"
        for name, value in pairs.items()
    )
