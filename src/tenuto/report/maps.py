"""maps.json as arrays: what each block did, or would have done, at each step of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenuto.errors import ResultError
from tenuto.report.fields import Fields, read_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A mask of one block and step, reduced to shares; NaN where unknown.

    Attributes:
        what: "tokens", "hidden values" or "scores".
        skipped: Shares in [0, 1] that were not computed, of equal parts of the mask.
        num_rows, num_columns: Of the whole mask.
    """

    what: str
    block: int
    step: int
    num_rows: int
    num_columns: int
    skipped: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """What the run of one technique left out.

    Attributes:
        shares: Kind of work -> (blocks, steps) shares in [0, 1] of its multiply-accumulates.
    """

    technique: str
    num_steps: int
    shares: Mapping[str, np.ndarray]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Labelled matrices, float64, NaN where maps.json has null. An absent part is empty."""

    pmr: Mapping[str, np.ndarray]  # (steps, steps)
    similarity: Mapping[str, np.ndarray]  # (blocks, steps)
    forecast_error: Mapping[str, np.ndarray]  # (blocks, steps)
    skipped: tuple[Skipped, ...]


def read_maps(path: Path) -> Maps:
    """Read a maps.json; a missing file is a Maps with nothing in it.

    Raises:
        ResultError: The file is cut short, or a matrix is empty, ragged, not numeric or (PMR) not
            square.
    """
    if not path.exists():
        return Maps(pmr={}, similarity={}, forecast_error={}, skipped=())
    fields = read_object(path)

    pmr = _matrices(fields, "pmr")
    for label, matrix in pmr.items():
        if matrix.shape[0] != matrix.shape[1]:
            raise ResultError(f"`{path.name}.pmr.{label}` must be square, got {matrix.shape}")
    return Maps(
        pmr=pmr,
        similarity=_matrices(fields, "similarity"),
        forecast_error=_matrices(fields, "forecast_error"),
        skipped=tuple(
            _skipped(Fields(where=f"{path.name}.skipped[{index}]", values=values))
            for index, values in enumerate(fields.items("skipped", dict))
        ),
    )


def _skipped(fields: Fields) -> Skipped:
    pictures = (
        _picture(Fields(where=f"{fields.where}.pictures[{index}]", values=values))
        for index, values in enumerate(fields.items("pictures", dict))
    )
    return Skipped(
        technique=fields.text("technique") or "?",
        num_steps=_count(fields, "num_steps"),
        shares=_matrices(fields, "shares"),
        pictures=tuple(pictures),
    )


def _picture(fields: Fields) -> Picture:
    return Picture(
        what=fields.text("of") or "?",
        block=_count(fields, "block"),
        step=_count(fields, "step"),
        num_rows=_count(fields, "rows"),
        num_columns=_count(fields, "columns"),
        skipped=_matrix(fields.values.get("skipped"), f"{fields.where}.skipped"),
    )


def _count(fields: Fields, key: str) -> int:
    number = fields.number(key)
    if number is None or number < 0 or number % 1:
        fields.refuse(key, "a whole number of at least 0")
    return int(number)


def _matrices(fields: Fields, part: str) -> dict[str, np.ndarray]:
    return {
        label: _matrix(rows, f"{fields.where}.{part}.{label}")
        for label, rows in fields.mapping(part).items()
    }


def _matrix(rows: Any, where: str) -> np.ndarray:
    try:
        matrix = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise ResultError(f"`{where}` must be a matrix of numbers with equal rows") from None
    if matrix.ndim != 2 or matrix.size == 0:
        raise ResultError(f"`{where}` must be a matrix with entries, got shape {matrix.shape}")
    return matrix
