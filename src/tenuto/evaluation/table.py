"""A result as a table for the terminal."""

from collections.abc import Callable, Mapping
from typing import Any

_COLUMNS: tuple[tuple[str, str], ...] = (
    ("technique", "technique"),
    ("PSNR", "psnr_db"),
    ("median", "psnr_median_db"),
    ("p10", "psnr_p10_db"),
    ("95 %", "psnr_ci95_db"),
    ("SSIM", "ssim"),
    ("FLIP", "flip"),
    ("temporal", "temporal_psnr_db"),
    ("reads", "caption_accuracy"),
    ("seconds", "seconds_median"),
    ("speed-up", "speedup"),
    ("MACs", "macs_ratio"),
    ("matching", "matching_share"),
    ("state", "state_bytes_peak"),
)


def result_table(result: Mapping[str, Any]) -> str:
    """Return the rows of a result as aligned text, the untouched pipeline first."""
    reference = result["reference"]
    first = {
        "technique": f"untouched, {reference['steps']} steps",
        "seconds_median": reference["seconds_median"],
        "speedup": 1.0,
        "macs_ratio": 1.0,
        "caption_accuracy": reference.get("caption_accuracy"),
    }
    lines = [[title for title, _ in _COLUMNS]]
    for row in (first, *result["rows"]):
        lines.append([_cell(key, row) for _, key in _COLUMNS])
    widths = [max(len(line[c]) for line in lines) for c in range(len(_COLUMNS))]
    aligned = (
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
    machine = result["machine"]
    repeat = "identical" if reference["repeat_identical"] else "NOT identical"
    note = (
        f"{reference['num_prompts']} prompts, {reference['scheduler']}; PSNR and temporal PSNR in "
        f"dB against the untouched pipeline, whose repeat is {repeat};\nMACs and state are counted"
    )
    if reference.get("caption_accuracy") is not None:
        note += ", reads: samples in which a classifier reads what the caption says"
    if reference["seconds_median"] is not None:
        note += f", seconds measured on {machine['cpu']}, {machine['threads']} threads"
    return "\n".join([*aligned, "", note])


def _cell(key: str, row: Mapping[str, Any]) -> str:
    value = row.get(key)
    if row.get("identical") and key.startswith("psnr"):
        return "identical" if key == "psnr_db" else ""
    return "-" if value is None else _FORMATS.get(key, "{:.1f}".format)(value)


_FORMATS: dict[str, Callable[[Any], str]] = {
    "technique": str,
    "psnr_ci95_db": lambda ends: f"{ends[0]:.1f}..{ends[1]:.1f}",
    "ssim": "{:.4f}".format,
    "flip": "{:.4f}".format,
    "caption_accuracy": "{:.0%}".format,
    "seconds_median": "{:.2f}".format,
    "speedup": "{:.2f}x".format,
    "macs_ratio": "{:.2f}x".format,
    "matching_share": "{:.2%}".format,
    "state_bytes_peak": lambda size: f"{size / 2**20:.1f} MiB",
}
