"""The table of all rows as sortable HTML."""

import json
from collections.abc import Sequence
from html import escape

from tenuto.report.columns import COLUMNS, MEAN_PSNR, Column
from tenuto.report.comparison import Kind, Row
from tenuto.report.frontier import upper_envelope
from tenuto.report.summary import intervals_overlap, speed

MISSING = "-"
IDENTICAL = "identical"


def table_html(rows: Sequence[Row]) -> str:
    """Write all rows, the best of each column marked, and a note on every column.

    Columns that no row fills are left out.
    """
    columns = [column for column in COLUMNS if any(column.value(row) is not None for row in rows)]
    marks = {(id(row), column.title) for column in columns for row in best_rows(rows, column)}
    envelope = upper_envelope(rows, speed) or upper_envelope(rows, lambda row: row.macs_ratio)
    body = ""
    for number, row in enumerate(rows, start=1):
        cells = "".join(
            _cell_html(row, column, (id(row), column.title) in marks) for column in columns
        )
        body += f"<tr>{_name_cells_html(number, row, row in envelope)}{cells}</tr>"
    return (
        '<div class="scroller" role="region" aria-label="Table of all rows" tabindex="0">'
        '<table class="results" data-sortable><caption class="unseen">Fidelity, time and work of '
        f"every technique; the column buttons sort.</caption>{_head_html(columns)}"
        f"<tbody>{body}</tbody></table></div>{_notes_html(columns)}"
    )


def best_rows(rows: Sequence[Row], column: Column) -> list[Row]:
    """Find the rows to mark as best: the leader and those it cannot be told from.

    Rows that are off or bit-identical do not compete. A row ties when it shows the same text or,
    for the mean PSNR, when its 95 % interval meets the leader's. A race of one has no winner.
    """
    racers = [
        (value, row)
        for row in rows
        if row.kind is not Kind.OFF
        and not row.identical
        and row.measured
        and (value := column.value(row)) is not None
    ]
    if column.better is None or len(racers) < 2:
        return []
    pick = max if column.better == "higher" else min
    _, leader = pick(racers, key=lambda racer: racer[0])
    return [
        row
        for _, row in racers
        if column.write(row) == column.write(leader)
        or (column is MEAN_PSNR and intervals_overlap(row, leader))
    ]


def _head_html(columns: Sequence[Column]) -> str:
    groups: dict[str, int] = {}
    for column in columns:
        groups[column.group] = groups.get(column.group, 0) + 1
    top = "".join(
        f'<th scope="colgroup" colspan="{count}">{escape(group)}</th>'
        for group, count in groups.items()
    )
    # A first click brings the best, or the largest, to the top.
    buttons = "".join(_button_html(title, "ascending") for title in ("#", "technique", "kind"))
    buttons += "".join(
        _button_html(column.title, "ascending" if column.better == "lower" else "descending")
        for column in columns
    )
    return f'<thead><tr><td colspan="3"></td>{top}</tr><tr>{buttons}</tr></thead>'


def _button_html(title: str, first: str) -> str:
    return (
        f'<th scope="col" aria-sort="none" data-first="{first}">'
        f'<button type="button">{escape(title)}</button></th>'
    )


def _name_cells_html(number: int, row: Row, is_on_envelope: bool) -> str:
    tags = '<span class="tag">envelope</span>' if is_on_envelope else ""
    tags += "" if row.measured else '<span class="tag">not measured</span>'
    params = escape(json.dumps(row.params, sort_keys=True)) if row.params else ""
    return (
        f'<td class="count" data-value="{number}">{number}</td>'
        f'<th scope="row" title="{params}">{escape(row.technique)}{tags}</th>'
        f'<td class="word"><span class="kind {row.kind.value}">{row.kind.value}</span></td>'
    )


def _cell_html(row: Row, column: Column, is_best: bool) -> str:
    value = column.value(row)
    if value is not None:
        mark = ' class="best"' if is_best else ""
        return f'<td{mark} data-value="{value!r}">{_wrapped(column.write(row))}</td>'
    if row.identical and column.is_decibel:
        return f'<td class="same" data-value="Infinity">{IDENTICAL}</td>'
    return f'<td class="missing">{MISSING}</td>'


def _wrapped(text: str) -> str:
    """Put a bracketed range on its own line, small."""
    value, bracket, rest = escape(text).partition(" [")
    return f"{value}<br><small>{rest.removesuffix(']')}</small>" if bracket else value


def _notes_html(columns: Sequence[Column]) -> str:
    notes = "".join(
        f"<div><dt>{escape(column.title)}</dt><dd>{escape(column.note)}</dd></div>"
        for column in columns
    )
    return (
        '<p class="note">The best of one column is often the worst of another: weigh both in the '
        'plots below. <b class="best">Marked</b>: best of its column; for the mean PSNR also '
        "every row whose 95 % interval meets the best one's. Rows that changed nothing do not "
        'compete. <span class="tag">envelope</span>: no other row is both faster and closer. '
        f'"{IDENTICAL}": bit for bit the untouched output. "{MISSING}": not known.</p>'
        f'<dl class="columns">{notes}</dl>'
    )
