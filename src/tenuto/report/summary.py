"""What the rows say, in plain words. Nothing is computed but comparisons between rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenuto.report.comparison import Kind, Row

# Speeds at which the project states its targets, and how far a row may be from one.
TARGET_SPEEDS = (1.3, 1.5, 2.0, 3.0)
# 7 %: the bands of two targets never share a row.
_TOLERANCE = 0.07
_HEADLINE_SPEED = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedBand:
    """The closest tenuto row at about one speed, and the closest others at *its* speed."""

    speed: float
    tenuto: Row
    peer: Row | None
    control: Row | None


def speed(row: Row) -> float | None:
    """Return the measured speed-up, or None for a row that was not timed."""
    return row.speedup if row.measured else None


def speed_bands(rows: Sequence[Row]) -> list[SpeedBand]:
    """Pair the rows up at equal measured speed, for each target speed that a tenuto row reaches."""
    bands: list[SpeedBand] = []
    for target in TARGET_SPEEDS:
        tenuto = closest([row for row in rows if _is_near(row, target)], Kind.TENUTO)
        if tenuto is None:
            continue
        as_fast = [row for row in rows if _is_near(row, speed(tenuto) or target)]
        bands.append(
            SpeedBand(
                speed=target,
                tenuto=tenuto,
                peer=closest(as_fast, Kind.PEER),
                control=closest(as_fast, Kind.CONTROL),
            )
        )
    return bands


def closest(rows: Iterable[Row], kind: Kind) -> Row | None:
    """Return the row of a kind with the highest mean PSNR, or None without one."""
    known = [row for row in rows if row.kind is kind and row.psnr_db is not None]
    return max(known, key=lambda row: row.psnr_db or 0.0, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The finding in one sentence, and what qualifies it (may be empty)."""

    sentence: str
    detail: str = ""


def headline(rows: Sequence[Row]) -> Headline:
    """Say what the best tenuto row gave and what fewer steps gave instead.

    The row is the best of the band nearest 1.5x; without a band, the best of all tenuto rows.
    """
    bands = speed_bands(rows)
    if bands:
        band = min(bands, key=lambda band: abs(band.speed - _HEADLINE_SPEED))
        factor = speed(band.tenuto) or band.speed
        return _against_control(band.tenuto, band.control or _nearest_control(rows, factor))
    best = closest(rows, Kind.TENUTO)
    if best is None:
        return _without_tenuto(rows)
    factor = speed(best)
    if factor is None:
        sentence = f"{best.technique}: {best.psnr_db:.1f} dB at {_work(best)}."
        return Headline(sentence=sentence, detail="It was not timed.")
    return _against_control(best, _nearest_control(rows, factor))


def prompts_won(row: Row, other: Row) -> tuple[int, int] | None:
    """Count the prompts on which `row` is closer to the untouched run, and those compared."""
    pairs = [
        (mine, theirs)
        for mine, theirs in zip(row.psnr_per_prompt_db, other.psnr_per_prompt_db, strict=False)
        if mine is not None and theirs is not None
    ]
    if not pairs or len(row.psnr_per_prompt_db) != len(other.psnr_per_prompt_db):
        return None
    return sum(mine > theirs for mine, theirs in pairs), len(pairs)


def intervals_overlap(row: Row, other: Row) -> bool:
    """Tell whether both 95 % intervals are known and share a value."""
    if row.psnr_ci95_db is None or other.psnr_ci95_db is None:
        return False
    return row.psnr_ci95_db[0] <= other.psnr_ci95_db[1] and (
        other.psnr_ci95_db[0] <= row.psnr_ci95_db[1]
    )


def _against_control(row: Row, control: Row | None) -> Headline:
    first = f"{row.technique} at {speed(row):.2f}x: {row.psnr_db:.1f} dB"
    if control is None:
        return Headline(
            sentence=f"{first}.", detail="No row with fewer steps was run to hold it against."
        )
    if not _same_time(row, control):
        return Headline(
            sentence=f"{first}; fewer steps at {speed(control):.2f}x: {control.psnr_db:.1f} dB.",
            detail="The two took different times, so this is no comparison at equal time.",
        )
    return Headline(
        sentence=f"{first}; fewer steps at the same time: {control.psnr_db:.1f} dB.",
        detail=_verdict(row, control),
    )


def _verdict(row: Row, control: Row) -> str:
    if row.psnr_db is None or control.psnr_db is None:
        return ""
    gain_db = row.psnr_db - control.psnr_db
    won = prompts_won(row, control)
    detail = f" (tenuto closer on {won[0]} of {won[1]} prompts)" if won else ""
    tie = "; their 95 % intervals overlap" if intervals_overlap(row, control) else ""
    if gain_db < 0:
        return f"Here fewer steps is {-gain_db:.1f} dB better{detail}{tie}."
    return f"That is {gain_db:.1f} dB better than fewer steps{detail}{tie}."


def _without_tenuto(rows: Sequence[Row]) -> Headline:
    changed = [row for row in rows if row.kind is not Kind.OFF and row.psnr_db is not None]
    best = max(changed, key=lambda row: row.psnr_db or 0.0, default=None)
    if best is None:
        same = sum(row.identical for row in rows)
        return Headline(
            sentence=f"{same} of {len(rows)} rows are bit-identical to the untouched run."
        )
    return Headline(
        sentence=f"{best.technique} comes closest to the untouched run: {best.psnr_db:.1f} dB."
    )


def _nearest_control(rows: Iterable[Row], factor: float) -> Row | None:
    controls = [
        (abs(known - factor), index, row)
        for index, row in enumerate(rows)
        if row.kind is Kind.CONTROL and row.psnr_db is not None and (known := speed(row))
    ]
    return min(controls)[2] if controls else None


def _same_time(row: Row, control: Row) -> bool:
    factor = speed(row)
    return factor is not None and _is_near(control, factor)


def _is_near(row: Row, target: float) -> bool:
    factor = speed(row)
    return factor is not None and abs(factor / target - 1) <= _TOLERANCE


def _work(row: Row) -> str:
    return (
        "an unknown count of MACs"
        if row.macs_ratio is None
        else f"{row.macs_ratio:.2f}x fewer MACs"
    )
