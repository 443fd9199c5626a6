"""The columns of the table: what each one shows, means, and counts as better."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tenuto.report.comparison import Row

FIDELITY = "Closeness to the untouched run"
TIME = "Time (measured)"
WORK = "Work (counted)"
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of numbers.

    `value` is what the column sorts by, None where the row does not know it; `write` is called
    only where it does. `better` says which end is marked as best; None marks nothing (a cost that
    not every row has). `is_decibel` columns have no number where the output is bit-identical.
    """

    title: str
    group: str
    note: str
    value: Callable[[Row], float | None]
    write: Callable[[Row], str]
    better: Literal["higher", "lower"] | None = None
    is_decibel: bool = False


def _seconds_with_range(row: Row) -> str:
    text = seconds_text(row.seconds_median or 0)
    if row.seconds_min is None or row.seconds_max is None:
        return text
    return f"{text} [{seconds_text(row.seconds_min)} to {seconds_text(row.seconds_max)}]"


def seconds_text(seconds: float) -> str:
    """Write seconds with three significant digits, never as a power of ten.

    >>> seconds_text(0.51234), seconds_text(12.0), seconds_text(1234.5)
    ('0.512', '12.0', '1234')
    """
    decimals = 3 if seconds < 1 else 2 if seconds < 10 else 1 if seconds < 100 else 0
    return f"{seconds:.{decimals}f}"


MEAN_PSNR = Column(
    title="PSNR",
    group=FIDELITY,
    note="mean over prompts, in dB; higher is closer.",
    value=lambda row: row.psnr_db,
    write=lambda row: f"{row.psnr_db:.1f}",
    better="higher",
    is_decibel=True,
)

COLUMNS = (
    MEAN_PSNR,
    Column(
        title="median",
        group=FIDELITY,
        note="PSNR of the middle prompt, in dB.",
        value=lambda row: row.psnr_median_db,
        write=lambda row: f"{row.psnr_median_db:.1f}",
        better="higher",
        is_decibel=True,
    ),
    Column(
        title="p10",
        group=FIDELITY,
        note="PSNR that nine prompts in ten exceed, in dB: the bad cases.",
        value=lambda row: row.psnr_p10_db,
        write=lambda row: f"{row.psnr_p10_db:.1f}",
        better="higher",
        is_decibel=True,
    ),
    Column(
        title="95 % interval",
        group=FIDELITY,
        note="bootstrap interval of the mean PSNR over prompts, in dB.",
        value=lambda row: row.psnr_ci95_db[0] if row.psnr_ci95_db else None,
        write=lambda row: "{:.1f} to {:.1f}".format(*(row.psnr_ci95_db or ())),
    ),
    Column(
        title="SSIM",
        group=FIDELITY,
        note="structural similarity; 1 is equal.",
        value=lambda row: row.ssim,
        write=lambda row: f"{row.ssim:.3f}",
        better="higher",
    ),
    Column(
        title="MS-SSIM",
        group=FIDELITY,
        note="structural similarity over several scales; 1 is equal.",
        value=lambda row: row.ms_ssim,
        write=lambda row: f"{row.ms_ssim:.3f}",
        better="higher",
    ),
    Column(
        title="FLIP",
        group=FIDELITY,
        note="visible difference when two pictures are flipped; 0 is equal.",
        value=lambda row: row.flip,
        write=lambda row: f"{row.flip:.3f}",
        better="lower",
    ),
    Column(
        title="temporal",
        group=FIDELITY,
        note="PSNR of the differences between successive frames, in dB: flicker and motion.",
        value=lambda row: row.temporal_psnr_db,
        write=lambda row: f"{row.temporal_psnr_db:.1f}",
        better="higher",
        is_decibel=True,
    ),
    Column(
        title="reads",
        group=FIDELITY,
        note="share of the samples in which a classifier reads what the caption says.",
        value=lambda row: row.caption_accuracy,
        write=lambda row: f"{100 * (row.caption_accuracy or 0):.0f} %",
        better="higher",
    ),
    Column(
        title="shows the same",
        group=FIDELITY,
        note="share of the samples in which it reads what it reads in the untouched run's.",
        value=lambda row: row.shows_the_same,
        write=lambda row: f"{100 * (row.shows_the_same or 0):.0f} %",
        better="higher",
    ),
    Column(
        title="seconds",
        group=TIME,
        note="median of interleaved runs, with the fastest and the slowest below.",
        value=lambda row: row.seconds_median if row.measured else None,
        write=_seconds_with_range,
    ),
    Column(
        title="speed-up",
        group=TIME,
        note="seconds of the untouched run over seconds of this one.",
        value=lambda row: row.speedup if row.measured else None,
        write=lambda row: f"{row.speedup:.2f}x",
        better="higher",
    ),
    Column(
        title="MACs ratio",
        group=WORK,
        note="multiply-accumulates of the untouched run over those done here, matching and "
        "restoration included.",
        value=lambda row: row.macs_ratio,
        write=lambda row: f"{row.macs_ratio:.2f}x",
        better="higher",
    ),
    Column(
        title="matching",
        group=WORK,
        note="share spent on finding which tokens match.",
        value=lambda row: row.matching_share,
        write=lambda row: f"{100 * (row.matching_share or 0):.1f} %",
    ),
    Column(
        title="state",
        group=WORK,
        note="most memory held between steps, in MiB.",
        value=lambda row: row.state_bytes_peak,
        write=lambda row: f"{(row.state_bytes_peak or 0) / _MEBIBYTE:.1f}",
    ),
)
