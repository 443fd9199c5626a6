"""A trace folder comes back as it was written, or is refused in one sentence."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import tenuto.traces
from tenuto.errors import TraceFormatError
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Manifest, Part, Trace
from tenuto.traces.store import open_sample, save
from tenuto.traces.writer import TraceWriter

MANIFEST = Manifest(model="toy", kind="recorded", num_steps=2, num_blocks=1, tile_rows=16)
LINEAR = {"step": 0, "block": 0, "rows": 32, "inner": 8, "columns": 24}
TILES = {
    "rows": np.array([16, 16]), "kept_rows": np.array([16, 8]), "needed_rows": np.array([16, 8]),
    "live_elements": np.array([384, 192]), "live_columns": np.array([24, 24]),
    "condensed_tiles": np.array([2, 2]), "merged_tiles": np.array([2, 1]),
}  # fmt: skip


@pytest.fixture(scope="module")
def mdm() -> Trace:
    return scaled_trace("mdm")


def small_trace(folder: Path) -> Path:
    with TraceWriter(folder, MANIFEST) as writer:
        index = writer.operation(part=Part.FFN_UP, tiled=True, **LINEAR)
        writer.tiles(index, **TILES)
        writer.operation(part=Part.FFN_DOWN, tiles_of=index, **LINEAR)
    return folder


def altered(folder: Path, **changes: object) -> Path:
    """Change the manifest of a trace."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def test_a_saved_trace_is_read_back_to_the_bit(mdm: Trace, tmp_path: Path) -> None:
    save(mdm, tmp_path / "trace")

    read = tenuto.traces.open(tmp_path / "trace")

    assert read.manifest == mdm.manifest
    for mine, other in ((read.operations, mdm.operations), (read.tiles, mdm.tiles)):
        for column in fields(mine):
            np.testing.assert_array_equal(getattr(mine, column.name), getattr(other, column.name))


def test_a_writer_gives_operations_and_their_tiles_back(tmp_path: Path) -> None:
    trace = tenuto.traces.open(small_trace(tmp_path))

    assert trace.operations.part.tolist() == [Part.FFN_UP, Part.FFN_DOWN]
    assert trace.operations.tiles_of.tolist() == [0, 0]
    assert trace.tiles.merged_tiles.tolist() == [2, 1]
    assert trace.dense_macs == 2 * 32 * 8 * 24


def test_row_groups_do_not_change_what_is_written(mdm: Trace, tmp_path: Path) -> None:
    with TraceWriter(tmp_path, mdm.manifest, rows_per_group=7) as writer:
        for start in range(0, 50, 5):
            part = {f.name: getattr(mdm.operations, f.name)[start : start + 5] for f in
                    fields(mdm.operations)}  # fmt: skip
            writer.append("operations", {**part, "tiles_of": np.full(5, -1)})

    read = tenuto.traces.open(tmp_path)

    np.testing.assert_array_equal(read.operations.rows, mdm.operations.rows[:50])


def test_a_raw_mask_is_kept_in_bits(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((16, 37)) < 0.3
    with TraceWriter(tmp_path, MANIFEST) as writer:
        writer.sample("step0/block0/ffn", mask)

    np.testing.assert_array_equal(open_sample(tmp_path, "step0/block0/ffn"), mask)
    with pytest.raises(TraceFormatError, match="`name` must be one of"):
        open_sample(tmp_path, "another")


def test_an_interrupted_recorder_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), TraceWriter(tmp_path, MANIFEST) as writer:
        writer.operation(part=Part.QUERY, **LINEAR)
        raise KeyboardInterrupt

    with pytest.raises(TraceFormatError, match="no finished trace"):
        tenuto.traces.open(tmp_path)


def test_a_trace_is_not_written_over_another(tmp_path: Path) -> None:
    small_trace(tmp_path)

    with pytest.raises(ValueError, match="`folder` must not hold a trace yet"):
        TraceWriter(tmp_path, MANIFEST)


@pytest.mark.parametrize("name", ["tiles.parquet", "operations.parquet"])
def test_a_truncated_file_is_named(name: str, tmp_path: Path) -> None:
    path = small_trace(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(TraceFormatError, match=f"{name} is truncated or altered"):
        tenuto.traces.open(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (small_trace(tmp_path) / "tiles.parquet").unlink()

    with pytest.raises(TraceFormatError, match=r"lacks tiles\.parquet"):
        tenuto.traces.open(tmp_path)


def test_a_file_without_a_checksum_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceFormatError, match="lists no checksum"):
        tenuto.traces.open(altered(small_trace(tmp_path), sha256={}))


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceFormatError, match=r"`schema` of .* must be 2, got 1"):
        tenuto.traces.open(altered(small_trace(tmp_path), schema=1))


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2}', "{"])
def test_a_manifest_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (small_trace(tmp_path) / "manifest.json").write_text(text)

    with pytest.raises(TraceFormatError, match="is not a trace's manifest"):
        tenuto.traces.open(tmp_path)


def test_an_unknown_key_of_the_manifest_is_named_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(TraceFormatError, match=r"manifest\.json: unknown keys \['colour'\]"):
        tenuto.traces.open(altered(small_trace(tmp_path), colour="red"))


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("needed_rows", [16, 16], "`needed_rows` <= `kept_rows`"),
        ("merged_tiles", [2, 3], "`merged_tiles` must not exceed"),
        ("rows", [16, 17], "rows of its tiles must add up"),
        ("operation", [1, 0], "tiles must be sorted"),
    ],
)
def test_contradicting_tiles_are_refused(
    column: str, value: list[int], rule: str, tmp_path: Path
) -> None:
    trace = tenuto.traces.open(small_trace(tmp_path))
    tiles = replace(trace.tiles, **{column: np.array(value)})

    with pytest.raises(TraceFormatError, match=rule):
        Trace(trace.manifest, trace.operations, tiles).check()


@pytest.mark.parametrize(
    ("column", "value"), [("part", 99), ("step", 2), ("rows", -1), ("tiles_of", 5)]
)
def test_contradicting_operations_are_refused(column: str, value: int, tmp_path: Path) -> None:
    trace = tenuto.traces.open(small_trace(tmp_path))
    changed = np.array([getattr(trace.operations, column)[0], value])
    operations = replace(trace.operations, **{column: changed})

    with pytest.raises(TraceFormatError, match=f"`{column}`|sizes must not be negative"):
        Trace(trace.manifest, operations, trace.tiles).check()
