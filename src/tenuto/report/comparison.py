"""compare.json as records: what ran, where, and one row per technique."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from tenuto.errors import ResultError
from tenuto.report.fields import Fields, read_object

SCHEMA = 1

# A slug becomes a folder name under clips/, so it may not climb out of it.
_SLUG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,=+-]*")


class Kind(Enum):
    """What a row is there for; the value is the word in compare.json."""

    OFF = "off"
    CONTROL = "control"
    PEER = "peer"
    TENUTO = "tenuto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One technique against the untouched run; None is "not known", never zero."""

    technique: str
    kind: Kind
    slug: str | None
    params: Mapping[str, Any]
    dense_reasons: Mapping[str, Any]
    measured: bool
    identical: bool
    psnr_db: float | None
    psnr_median_db: float | None
    psnr_p10_db: float | None
    psnr_ci95_db: tuple[float, float] | None
    psnr_per_prompt_db: tuple[float | None, ...]
    ssim: float | None
    ms_ssim: float | None
    flip: float | None
    temporal_psnr_db: float | None
    caption_accuracy: float | None
    shows_the_same: float | None
    seconds_median: float | None
    seconds_min: float | None
    seconds_max: float | None
    speedup: float | None
    macs_ratio: float | None
    matching_share: float | None
    state_bytes_peak: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A whole compare.json. `reference`, `machine` and `versions` are shown as they stand."""

    model: str
    command: str | None
    created: str | None
    prompts: tuple[str, ...]
    reference: Mapping[str, Any]
    machine: Mapping[str, Any]
    versions: Mapping[str, Any]
    rows: tuple[Row, ...]


def read_comparison(path: Path) -> Comparison:
    """Read and check a compare.json.

    Raises:
        ResultError: The file is missing, cut short, of another schema, without rows, or a field
            is of the wrong type.
    """
    fields = read_object(path)
    schema = fields.values.get("schema")
    if schema != SCHEMA:
        raise ResultError(f"`{path.name}.schema` must be {SCHEMA}, got {schema!r}")
    rows = fields.items("rows", dict)
    if not rows:
        raise ResultError(f"`{path.name}.rows` must hold at least one row, got {rows!r}")
    return Comparison(
        model=fields.text("model") or "model",
        command=fields.text("command"),
        created=fields.text("created"),
        prompts=tuple(fields.items("prompts", str)),
        reference=fields.mapping("reference"),
        machine=fields.mapping("machine"),
        versions=fields.mapping("versions"),
        rows=tuple(
            _read_row(Fields(where=f"rows[{index}]", values=row)) for index, row in enumerate(rows)
        ),
    )


def _read_row(fields: Fields) -> Row:
    technique = fields.text("technique")
    if not technique:
        fields.refuse("technique", "a text that is not empty")
    return Row(
        technique=technique,
        kind=_read_kind(fields),
        slug=_read_slug(fields),
        params=fields.mapping("params"),
        dense_reasons=fields.mapping("dense_reasons"),
        measured=fields.flag("measured", default=True),
        identical=fields.flag("identical", default=False),
        psnr_db=fields.number("psnr_db"),
        psnr_median_db=fields.number("psnr_median_db"),
        psnr_p10_db=fields.number("psnr_p10_db"),
        psnr_ci95_db=fields.interval("psnr_ci95_db"),
        psnr_per_prompt_db=fields.numbers("psnr_per_prompt"),
        ssim=fields.number("ssim"),
        ms_ssim=fields.number("ms_ssim"),
        flip=fields.number("flip"),
        temporal_psnr_db=fields.number("temporal_psnr_db"),
        caption_accuracy=fields.number("caption_accuracy"),
        shows_the_same=fields.number("shows_the_same"),
        seconds_median=fields.number("seconds_median"),
        seconds_min=fields.number("seconds_min"),
        seconds_max=fields.number("seconds_max"),
        speedup=fields.number("speedup"),
        macs_ratio=fields.number("macs_ratio"),
        matching_share=fields.number("matching_share"),
        state_bytes_peak=fields.number("state_bytes_peak"),
    )


def _read_kind(fields: Fields) -> Kind:
    try:
        return Kind(fields.values.get("kind"))
    except ValueError:
        fields.refuse("kind", "one of " + ", ".join(kind.value for kind in Kind))


def _read_slug(fields: Fields) -> str | None:
    slug = fields.text("slug")
    if slug is not None and not _SLUG.fullmatch(slug):
        fields.refuse("slug", "a folder name of letters, digits and _ . , = + -")
    return slug
