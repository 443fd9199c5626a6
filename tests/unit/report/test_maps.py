"""maps.json: matrices as arrays, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from tenuto.errors import ResultError
from tenuto.report.maps import read_maps


def test_a_missing_file_has_no_parts(tmp_path: Path) -> None:
    maps = read_maps(tmp_path / "maps.json")

    assert not maps.pmr and not maps.similarity and not maps.forecast_error and not maps.actions


def test_null_is_unknown_and_an_absent_part_is_empty(tmp_path: Path) -> None:
    (tmp_path / "maps.json").write_text('{"pmr": {"all": [[1, 0.5], [null, 1]]}}')

    maps = read_maps(tmp_path / "maps.json")

    assert np.isnan(maps.pmr["all"][1, 0])
    assert maps.pmr["all"][0].tolist() == [1.0, 0.5]
    assert not maps.actions


@pytest.mark.parametrize(
    ("part", "matrix", "sentence"),
    [
        ("pmr", [[1, 2, 3]], r"`maps\.json\.pmr\.x` must be square, got \(1, 3\)"),
        ("similarity", [[1, 2], [3]], "must be a matrix of numbers with equal rows"),
        ("similarity", [["a"]], "must be a matrix of numbers with equal rows"),
        ("similarity", [{"a": 1}], "must be a matrix"),
        ("actions", [], r"must be a matrix with entries, got shape \(0,\)"),
        ("actions", [1, 2], r"must be a matrix with entries, got shape \(2,\)"),
        ("forecast_error", [[]], r"must be a matrix with entries, got shape \(1, 0\)"),
    ],
)
def test_what_is_no_matrix_is_refused(
    tmp_path: Path, part: str, matrix: object, sentence: str
) -> None:
    (tmp_path / "maps.json").write_text(json.dumps({part: {"x": matrix}}))

    with pytest.raises(ResultError, match=sentence):
        read_maps(tmp_path / "maps.json")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "maps.json").write_text('{"pmr": {"all": [[1, 0.')

    with pytest.raises(ResultError, match=r"maps\.json is not whole JSON"):
        read_maps(tmp_path / "maps.json")
