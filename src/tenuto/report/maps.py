"""maps.json as arrays: what each block did or would have done at each step."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenuto.errors import ResultError
from tenuto.report.fields import read_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Labelled matrices, float64, NaN where maps.json has null. An absent part is empty."""

    pmr: Mapping[str, np.ndarray]  # (steps, steps)
    similarity: Mapping[str, np.ndarray]  # (blocks, steps)
    forecast_error: Mapping[str, np.ndarray]  # (blocks, steps)
    actions: Mapping[str, np.ndarray]  # (blocks, steps), 0 dense .. 1 predicted


def read_maps(path: Path) -> Maps:
    """Read a maps.json; a missing file is a Maps with nothing in it.

    Raises:
        ResultError: The file is cut short, or a matrix is empty, ragged, not numeric or (PMR) not
            square.
    """
    if not path.exists():
        return Maps(pmr={}, similarity={}, forecast_error={}, actions={})
    fields = read_object(path)

    def part(name: str) -> dict[str, np.ndarray]:
        where = f"{path.name}.{name}"
        return {
            label: _matrix(rows, f"{where}.{label}") for label, rows in fields.mapping(name).items()
        }

    pmr = part("pmr")
    for label, matrix in pmr.items():
        if matrix.shape[0] != matrix.shape[1]:
            raise ResultError(f"`{path.name}.pmr.{label}` must be square, got {matrix.shape}")
    return Maps(
        pmr=pmr,
        similarity=part("similarity"),
        forecast_error=part("forecast_error"),
        actions=part("actions"),
    )


def _matrix(rows: Any, where: str) -> np.ndarray:
    try:
        matrix = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise ResultError(f"`{where}` must be a matrix of numbers with equal rows") from None
    if matrix.ndim != 2 or matrix.size == 0:
        raise ResultError(f"`{where}` must be a matrix with entries, got shape {matrix.shape}")
    return matrix
