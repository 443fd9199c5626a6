"""The upper envelope of fidelity against gain: rows that no other row beats in both."""

from collections.abc import Callable, Sequence

from tenuto.report.comparison import Kind, Row


def upper_envelope(rows: Sequence[Row], gain: Callable[[Row], float | None]) -> list[Row]:
    """Keep the rows that no row beats or equals in both mean PSNR and gain.

    Args:
        rows: Rows switched off or bit-identical are left out: they changed nothing.
        gain: Larger is better, None is unknown; a row without it is left out.

    Returns:
        By falling gain, so by rising PSNR.
    """
    candidates = [
        (factor, row.psnr_db, row)
        for row in rows
        if row.kind is not Kind.OFF
        and row.psnr_db is not None
        and (factor := gain(row)) is not None
    ]
    envelope: list[Row] = []
    best_db = float("-inf")
    for _, psnr_db, row in sorted(candidates, key=lambda item: (-item[0], -item[1])):
        if psnr_db > best_db:
            envelope.append(row)
            best_db = psnr_db
    return envelope
