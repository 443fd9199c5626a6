"""compare.json: what is read, and the sentence for each thing that is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tenuto.errors import ResultError
from tenuto.report.comparison import Kind, read_comparison


def test_a_whole_file_is_read_row_by_row(result_dir: Path) -> None:
    comparison = read_comparison(result_dir / "compare.json")

    assert comparison.model == "emoji-video"
    assert comparison.rows[0].kind is Kind.OFF
    assert comparison.rows[0].identical
    assert comparison.rows[0].psnr_db is None
    assert comparison.rows[10].psnr_db == 38.1
    assert comparison.rows[10].psnr_ci95_db == pytest.approx((36.7, 39.5))
    assert len(comparison.rows[10].psnr_per_prompt_db) == 32


def test_a_row_needs_no_more_than_a_name_and_a_kind(
    rewrite: Callable[..., Path],
) -> None:
    folder = rewrite(rows=[{"technique": "DiTo", "kind": "tenuto"}])

    row = read_comparison(folder / "compare.json").rows[0]

    assert (row.psnr_db, row.speedup, row.slug, row.psnr_ci95_db) == (None, None, None, None)
    assert row.measured


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"compare\.json is missing: is .* a result folder\?"):
        read_comparison(tmp_path / "compare.json")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_not_whole_json(result_dir: Path, share: float) -> None:
    path = result_dir / "compare.json"
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])

    with pytest.raises(ResultError, match=r"compare\.json is not whole JSON"):
        read_comparison(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"[1, 2]", b"null", b"\xff\xfe", b'{"schema": NaN}', b"[" * 100_000],
    ids=["empty", "list", "null", "bytes", "NaN", "deep"],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "compare.json"
    path.write_bytes(content)

    with pytest.raises(ResultError, match=r"compare\.json"):
        read_comparison(path)


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_another_schema_is_refused(rewrite: Callable[..., Path], schema: object) -> None:
    with pytest.raises(ResultError, match=r"`compare\.json\.schema` must be 1, got"):
        read_comparison(rewrite(schema=schema) / "compare.json")


@pytest.mark.parametrize("rows", [[], None])
def test_a_file_without_rows_is_refused(rewrite: Callable[..., Path], rows: object) -> None:
    with pytest.raises(ResultError, match=r"`compare\.json\.rows` must hold at least one row"):
        read_comparison(rewrite(rows=rows) / "compare.json")


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("technique", "", "a text that is not empty"),
        ("technique", 3, "a text or null"),
        ("kind", "friend", "one of off, control, peer, tenuto"),
        ("kind", ["off"], "one of off, control, peer, tenuto"),
        ("psnr_db", "38.1", "a number or null"),
        ("psnr_db", True, "a number or null"),
        ("psnr_ci95_db", [1.0], "[low, high] with low <= high"),
        ("psnr_ci95_db", [2.0, 1.0], "[low, high] with low <= high"),
        ("psnr_per_prompt", [1.0, "x"], "a list of numbers"),
        ("identical", 1, "true or false"),
        ("params", [], "an object"),
        ("slug", "../reference", "a folder name of letters, digits and _ . , = + -"),
        ("slug", "a/b", "a folder name of letters, digits and _ . , = + -"),
        ("slug", "", "a folder name of letters, digits and _ . , = + -"),
    ],
)
def test_a_wrong_field_is_named_with_its_rule_and_value(
    rewrite: Callable[..., Path], key: str, value: object, rule: str
) -> None:
    folder = rewrite(first_row={key: value})

    with pytest.raises(ResultError) as caught:
        read_comparison(folder / "compare.json")

    assert str(caught.value) == f"`rows[0].{key}` must be {rule}, got {value!r}"


def test_a_number_too_large_for_a_float_is_refused(result_dir: Path) -> None:
    path = result_dir / "compare.json"
    path.write_text(path.read_text().replace('"speedup": 1.0', '"speedup": 1e999'))

    with pytest.raises(ResultError, match=r"`rows\[0\]\.speedup` must be a number or null"):
        read_comparison(path)


def test_a_long_wrong_value_is_shown_shortened(rewrite: Callable[..., Path]) -> None:
    with pytest.raises(ResultError) as caught:
        read_comparison(rewrite(model=["x" * 500]) / "compare.json")

    assert len(str(caught.value)) < 150


def test_keys_this_version_does_not_know_are_no_error(rewrite: Callable[..., Path]) -> None:
    folder = rewrite(first_row={"new": 1}, also=json.loads("{}"))

    assert read_comparison(folder / "compare.json").rows[0].technique == "off (repeat)"
