"""Sums over tiles and the busiest core, against a loop that deals out unit after unit."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.accelerators.tiles import UNITS_A_CORE, tile_sums
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Tiles, Trace

MDM = scaled_trace("mdm", "exion")


def with_tiles(needed: list[int], merged: list[int]) -> Trace:
    """A trace whose operation 0 has these tiles; the rest of its columns are arbitrary."""
    tiles = {field.name: np.array(merged, np.uint32) for field in fields(Tiles)}
    tiles |= {"operation": np.zeros(len(needed), np.int32), "needed_rows": np.array(needed)}
    return Trace(MDM.manifest, MDM.operations, Tiles(**tiles))


def slow_imbalance(needed: list[int], merged: list[int], num_cores: int) -> float:
    blocks = [-(-rows // 16) for rows in needed]
    parts = max(1, -(-UNITS_A_CORE * num_cores // max(sum(blocks), 1)))
    loads, turn = [0.0] * num_cores, 0
    for number, load in zip(blocks, merged, strict=True):
        for _ in range(number * parts):
            loads[turn] += load / (number * parts)
            turn = (turn + 1) % num_cores
    return max(loads) * num_cores / sum(loads) if sum(loads) else 1.0


@given(
    tiles=st.lists(st.tuples(st.integers(0, 128), st.integers(0, 900)), min_size=1, max_size=30),
    num_cores=st.integers(1, 40),
)
def test_the_busiest_core_is_the_one_of_the_slow_count(tiles, num_cores) -> None:
    needed, merged = [list(column) for column in zip(*tiles, strict=True)]
    merged = [load if rows else 0 for rows, load in zip(needed, merged, strict=True)]

    sums = tile_sums(with_tiles(needed, merged), num_cores, "merged")

    assert sums.imbalance[0] == pytest.approx(slow_imbalance(needed, merged, num_cores))
    assert sums.blocks[0] == sum(-(-rows // 16) for rows in needed)


def test_each_column_is_summed_for_each_operation() -> None:
    sums = tile_sums(MDM, 24, "merged")

    for name in ("kept_rows", "needed_rows", "live_elements", "live_columns", "merged_tiles"):
        column = getattr(MDM.tiles, name)
        for operation in np.unique(MDM.tiles.operation)[:50]:
            own = column[MDM.tiles.operation == operation].sum()
            assert getattr(sums, name)[operation] == own


def test_an_operation_without_tiles_has_zeros_and_no_imbalance() -> None:
    sums = tile_sums(MDM, 24, "merged")
    has_none = ~np.isin(np.arange(len(MDM.operations)), MDM.tiles.operation)

    assert has_none.any()
    assert not sums.merged_tiles[has_none].any()
    assert (sums.imbalance[has_none] == 1).all()


def test_no_tiles_at_all_are_fine() -> None:
    none = {field.name: getattr(MDM.tiles, field.name)[:0] for field in fields(Tiles)}

    sums = tile_sums(replace(MDM, tiles=Tiles(**none)), 4, "column")

    assert not sums.blocks.any()
