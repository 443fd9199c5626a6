"""Operations of a trace from its tiles, against products written out."""

from pathlib import Path

import numpy as np
import pytest

import tenuto.traces
from tenuto.traces.macs import macs_done
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Manifest, Part
from tenuto.traces.writer import TraceWriter

MANIFEST = Manifest(model="toy", kind="recorded", num_steps=1, num_blocks=1, tile_rows=16)


def test_dense_operations_do_what_they_are() -> None:
    trace = scaled_trace("mdm", "dense")

    assert macs_done(trace).sum() == trace.dense_macs


def tiles(kept: int, live: int) -> dict[str, np.ndarray]:
    row = {"rows": 16, "kept_rows": kept, "needed_rows": kept, "live_elements": live,
           "live_columns": 1, "condensed_tiles": 1, "merged_tiles": 1}  # fmt: skip
    return {name: np.array([value]) for name, value in row.items()}


def test_each_kind_of_operation_counts_its_own_way(tmp_path: Path) -> None:
    place = {"step": 0, "block": 0, "rows": 16}
    with TraceWriter(tmp_path, MANIFEST) as writer:
        up = writer.operation(part=Part.FFN_UP, tiled=True, inner=4, columns=16, **place)
        writer.tiles(up, **tiles(kept=16, live=60))
        writer.operation(part=Part.FFN_DOWN, inner=8, columns=4, tiles_of=up, **place)
        scores = {"count": 2, "kept_keys": 16}
        first = writer.operation(
            part=Part.SCORES, tiled=True, inner=3, columns=16, **scores, **place
        )
        writer.tiles(first, **tiles(kept=16, live=100))
        writer.operation(part=Part.VALUES, inner=16, columns=3, tiles_of=first, **scores, **place)
        query = writer.operation(part=Part.QUERY, tiled=True, inner=5, columns=5, **place)
        writer.tiles(query, **tiles(kept=7, live=35))
        writer.operation(part=Part.PROJECTION, inner=5, columns=2, tiles_of=query, **place)
        writer.operation(part=Part.MATCH, inner=5, columns=2, added_macs=77, **place)

    done = macs_done(tenuto.traces.open(tmp_path))

    # Of a gated feed-forward (16 outputs make 8 hidden values) half of the live outputs go on.
    assert done.tolist() == [60 * 4, 30 * 4, 100 * 3, 100 * 3, 35 * 5, 7 * 5 * 2, 77]


@pytest.mark.parametrize("recipe", ["orbis", "ffn-reuse", "exion", "composed"])
def test_skipping_never_adds_operations(recipe: str) -> None:
    trace = scaled_trace("dit", recipe)
    done = macs_done(trace)

    assert done.sum() < trace.dense_macs
    assert np.all(done <= trace.operations.dense_macs + 1e-6)
