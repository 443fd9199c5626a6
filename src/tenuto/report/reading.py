"""How to read the plots, and in words what their upper envelope says."""

from collections.abc import Sequence
from html import escape

from tenuto.report.comparison import Row
from tenuto.report.frontier import upper_envelope
from tenuto.report.summary import speed

_MARKS = (
    '<p class="note"><span class="kind tenuto">tenuto</span> &ensp; <span class="kind peer">peers'
    '</span> &ensp; <span class="kind control">fewer steps, joined by a dashed line</span></p>'
    '<p class="note">Up and to the right is better. Shapes tell techniques apart; vertical lines '
    "are 95 % intervals over prompts; rows that changed nothing are not drawn. Point at a mark "
    "for its name and numbers: crowded ones have no label.</p>"
)


def reading_html(rows: Sequence[Row]) -> str:
    """Write the key to the plots and the list of rows on the envelope of measured speed."""
    envelope = upper_envelope(rows, speed)
    items = "".join(
        f'<li><span class="kind {row.kind.value}">{escape(row.technique)}</span>: '
        f"{row.psnr_db:.1f} dB at {speed(row):.2f}x</li>"
        for row in reversed(envelope)
    )
    listed = f"<h3>On the upper envelope of measured speed</h3><ol>{items}</ol>" if envelope else ""
    return f'<div class="reading">{_MARKS}{listed}</div>'
