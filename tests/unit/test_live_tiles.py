"""Counts of tiles: what packing a part of the blocks may change, and what it may not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.golden.conmerge import pack
from tenuto.integration.live_tiles import BlockPacker, dense_tiles, mask_tiles, tile_lengths

shapes = st.tuples(st.integers(1, 70), st.integers(1, 60))


@given(shapes, st.floats(0, 1), st.integers(0, 2**16))
def test_counts_of_a_mask_are_those_of_its_packing(shape, density, seed):
    mask = np.random.default_rng(seed).random(shape) < density

    live, columns, condensed, merged = BlockPacker().counts(mask)

    packing = pack(mask)
    assert (live, condensed, merged) == (
        mask.sum(),
        packing.num_condensed_tiles,
        packing.num_tiles,
    )
    assert columns == sum(mask[i : i + 16].any(0).sum() for i in range(0, shape[0], 16))


@given(shapes, st.floats(0, 1), st.integers(2, 5))
def test_packing_fewer_blocks_estimates_merged_tiles_alone(shape, density, every):
    mask = np.random.default_rng(0).random(shape) < density

    exact, estimated = BlockPacker().counts(mask), BlockPacker(every).counts(mask)

    assert estimated[:3] == exact[:3]
    assert 0 <= estimated[3] <= exact[2]


def test_half_of_the_blocks_estimate_the_rest_well():
    mask = np.random.default_rng(0).random((256, 256)) < 0.1

    exact, estimated = BlockPacker().counts(mask)[3], BlockPacker(2).counts(mask)[3]

    assert estimated == pytest.approx(exact, rel=0.05)


@given(st.integers(1, 300), st.integers(1, 8).map(lambda n: 16 * n))
def test_tiles_cover_all_rows_once(num_rows, tile_rows):
    lengths = tile_lengths(num_rows, tile_rows)

    assert lengths.sum() == num_rows
    assert (lengths[:-1] == tile_rows).all()
    assert 1 <= lengths[-1] <= tile_rows


@given(shapes, st.integers(0, 2**16))
def test_whole_rows_occupy_what_their_mask_would(shape, seed):
    left = np.random.default_rng(seed).random(shape[0]) < 0.5
    places = np.flatnonzero(left)
    mask = np.ones((len(places), shape[1]), bool)

    short = dense_tiles(left[None], 32, shape[1])
    full = mask_tiles([mask], [places], shape[0], 32, BlockPacker())

    expected = full.to_columns()
    # A last block of few rows could be merged; whole rows are not.
    assert (expected.pop("merged_tiles") <= short.merged_tiles).all()
    for name, column in expected.items():
        np.testing.assert_array_equal(short.to_columns()[name], column, err_msg=name)
