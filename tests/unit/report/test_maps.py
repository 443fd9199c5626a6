"""maps.json: matrices as arrays, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenuto.errors import ResultError
from tenuto.report.maps import read_maps


def test_a_missing_file_has_no_parts(tmp_path: Path) -> None:
    maps = read_maps(tmp_path / "maps.json")

    assert not maps.pmr and not maps.similarity and not maps.forecast_error and not maps.skipped


def test_null_is_unknown_and_an_absent_part_is_empty(tmp_path: Path) -> None:
    (tmp_path / "maps.json").write_text('{"pmr": {"all": [[1, 0.5], [null, 1]]}}')

    maps = read_maps(tmp_path / "maps.json")

    assert np.isnan(maps.pmr["all"][1, 0])
    assert maps.pmr["all"][0].tolist() == [1.0, 0.5]
    assert not maps.skipped


@pytest.mark.parametrize(
    ("part", "matrix", "sentence"),
    [
        ("pmr", [[1, 2, 3]], r"`maps\.json\.pmr\.x` must be square, got \(1, 3\)"),
        ("similarity", [[1, 2], [3]], "must be a matrix of numbers with equal rows"),
        ("similarity", [["a"]], "must be a matrix of numbers with equal rows"),
        ("similarity", [{"a": 1}], "must be a matrix"),
        ("similarity", [], r"must be a matrix with entries, got shape \(0,\)"),
        ("similarity", [1, 2], r"must be a matrix with entries, got shape \(2,\)"),
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


def whole_run() -> dict[str, Any]:
    picture = {"of": "scores", "block": 1, "step": 2, "rows": 9, "columns": 6, "skipped": [[0.5]]}
    shares = {"scores": [[0.0, None]]}
    return {"technique": "dito", "num_steps": 2, "shares": shares, "pictures": [picture]}


def test_what_a_run_skipped_is_read_with_its_pictures(tmp_path: Path) -> None:
    (tmp_path / "maps.json").write_text(json.dumps({"skipped": [whole_run()]}))

    (run,) = read_maps(tmp_path / "maps.json").skipped

    assert (run.technique, run.num_steps) == ("dito", 2)
    assert np.isnan(run.shares["scores"][0, 1])
    (picture,) = run.pictures
    assert (picture.what, picture.block, picture.step) == ("scores", 1, 2)
    assert (picture.num_rows, picture.num_columns) == (9, 6)
    assert picture.skipped.tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_steps": 1.5}, r"`maps\.json\.skipped\[0\]\.num_steps` must be a whole number"),
        ({"shares": [1]}, r"`maps\.json\.skipped\[0\]\.shares` must be an object"),
        ({"shares": {"scores": [1]}}, r"skipped\[0\]\.shares\.scores` must be a matrix"),
        ({"pictures": [{}]}, r"skipped\[0\]\.pictures\[0\]\.block` must be a whole number"),
    ],
)
def test_what_is_no_skipped_run_is_refused(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    (tmp_path / "maps.json").write_text(json.dumps({"skipped": [whole_run() | changes]}))

    with pytest.raises(ResultError, match=sentence):
        read_maps(tmp_path / "maps.json")
