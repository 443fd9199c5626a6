"""Scaled traces with the sparsity of a recorded one draw its tiles and say so."""

from dataclasses import replace

import numpy as np
import pytest

from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Part, Trace
from tenuto.traces.sparsity import statistics_of


@pytest.fixture(scope="module")
def recorded() -> Trace:
    """Stands for a run: everything at work, on a small workload."""
    trace = scaled_trace("dit", "composed", seed=5)
    return replace(trace, manifest=replace(trace.manifest, kind="recorded", model="a run"))


def shares(trace: Trace, part: Part) -> np.ndarray:
    """Density, and merged tiles over condensed ones, of the tiles of a part."""
    table, tiles = trace.operations, trace.tiles
    chosen = (table.part[tiles.operation] == part) & (tiles.live_elements > 0)
    own = tiles.operation[chosen]
    width = np.where(table.kept_keys[own] > 0, table.kept_keys[own], table.columns[own])
    dense = tiles.needed_rows[chosen].astype(float) * width * table.count[own]
    return tiles.live_elements[chosen] / dense


def test_tiles_are_as_dense_as_the_recorded_ones(recorded: Trace) -> None:
    for recipe, part in (("ffn-reuse", Part.FFN_UP), ("eager", Part.SCORES)):
        trace = scaled_trace("stable-diffusion", recipe, statistics=recorded)

        found, expected = shares(trace, part), shares(recorded, part)

        assert found.mean() == pytest.approx(expected[expected < 1].mean(), rel=0.02)
        assert found.std() == pytest.approx(expected[expected < 1].std(), rel=0.1)


def test_kept_rows_are_the_recorded_share(recorded: Trace) -> None:
    trace = scaled_trace("stable-diffusion", "orbis", statistics=recorded)
    kept = statistics_of(recorded).mean(Part.QUERY, "kept")

    is_query = trace.operations.part[trace.tiles.operation] == Part.QUERY
    share = trace.tiles.kept_rows[is_query].sum() / trace.tiles.rows[is_query].sum()

    assert share == pytest.approx(kept, rel=0.02)


def test_the_manifest_names_the_run(recorded: Trace) -> None:
    trace = scaled_trace("mdm", "ffn-reuse", statistics=recorded)

    assert trace.manifest.kind == "scaled"
    assert trace.manifest.sources[-1].startswith("sparsity: tiles of the recorded run of a run (")


def test_what_the_run_lacks_is_named(recorded: Trace) -> None:
    dense = replace(scaled_trace("mdm", "dense"), manifest=recorded.manifest)

    with pytest.raises(ValueError, match="`statistics` must be a trace with FFN-Reuse"):
        scaled_trace("dit", "ffn-reuse", statistics=dense)
    with pytest.raises(ValueError, match="`statistics` must be a trace with token reduction"):
        scaled_trace("dit", "orbis", statistics=dense)


def test_a_scaled_trace_gives_no_statistics() -> None:
    with pytest.raises(ValueError, match="`statistics` must be a recorded trace, got a scaled one"):
        scaled_trace("dit", "exion", statistics=scaled_trace("mdm"))


def test_a_dense_recipe_needs_no_statistics(recorded: Trace) -> None:
    trace = scaled_trace("mdm", "dense", statistics=recorded)

    assert len(trace.tiles) == 0
