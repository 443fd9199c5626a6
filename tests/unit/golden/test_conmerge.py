import importlib.util
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tenuto.golden import conmerge, conmerge_merge
from tenuto.golden.conmerge import pack
from tenuto.golden.conmerge_array import execute
from tenuto.golden.conmerge_optimum import fewest_tiles

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40))
PLAIN = "tenuto.golden.plain_merge"


@pytest.fixture(scope="module")
def plain_merge() -> Iterator[object]:
    """The merging module as it is where numba is not installed."""
    spec = importlib.util.spec_from_file_location(PLAIN, conmerge_merge.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "numba", None)
        spec.loader.exec_module(module)
    yield module.merge_tiles


def slow_pack(mask: np.ndarray, rows: int, lanes: int, limit: int) -> list[dict]:
    """The algorithm of `pack`'s docstring, line by line, on dictionaries."""
    emitted = []
    for start in range(0, mask.shape[0], rows):
        block = mask[start : start + rows]
        columns = [c for c in range(mask.shape[1]) if block[:, c].any()]
        columns.sort(key=lambda c: (-int(block[:, c].sum()), c))
        left = [columns[i : i + lanes] for i in range(0, len(columns), lanes)]
        while left:
            tile = {"units": {}, "alternative": {}, "tiles": []}
            assert slow_merge(tile, left.pop(0), block, rows)
            for other in reversed(list(left)):
                if len(tile["tiles"]) < limit and slow_merge(tile, other, block, rows):
                    left.remove(other)
            emitted.append(
                {
                    (line, lane): (start + row, column)
                    for (line, lane), (row, column) in tile["units"].items()
                }
            )
    return emitted


def slow_merge(tile: dict, columns: list[int], block: np.ndarray, rows: int) -> bool:
    units, alternative = dict(tile["units"]), dict(tile["alternative"])
    conflicts = []
    for lane, column in enumerate(columns):
        for row in np.flatnonzero(block[:, column]).tolist():
            if (row, lane) in tile["units"]:
                conflicts.append((lane, row, column))
            else:
                units[row, lane] = (row, column)
    for lane, row, column in sorted(conflicts):
        free = [line for line in range(rows) if (line, lane) not in units]
        same = [line for line in free if alternative.get(line) == row]
        unset = [line for line in free if line not in alternative]
        if not same + unset:
            return False
        line = (same + unset)[0]
        units[line, lane], alternative[line] = (row, column), row
    tile.update(units=units, alternative=alternative, tiles=[*tile["tiles"], columns])
    return True


def units_of(packing: conmerge.Packing) -> list[dict]:
    """For each tile, the output of each busy unit."""
    tiles: list[dict] = [{} for _ in range(packing.num_tiles)]
    busy = np.argwhere(packing.select >= 0)
    for (tile, line, lane), output in zip(busy.tolist(), packing.outputs.tolist(), strict=True):
        tiles[tile][line, lane] = tuple(output)
    return tiles


@given(MASKS, st.sampled_from([1, 3, 4, 16]), st.sampled_from([1, 4, 5, 16]), st.integers(1, 4))
@example(np.ones((33, 17), bool), 16, 16, 3)
@example(np.zeros((33, 17), bool), 16, 16, 3)
@example(np.eye(32, dtype=bool), 16, 16, 3)
@example(np.tile(np.eye(16, 1, dtype=bool), (1, 48)), 16, 16, 3)
@example(np.zeros((0, 5), bool), 16, 16, 3)
def test_a_packing_is_that_of_the_stated_algorithm(mask, rows, lanes, limit) -> None:
    packing = pack(mask, rows, lanes, limit)

    assert units_of(packing) == slow_pack(mask, rows, lanes, limit)
    assert np.array_equal(packing.unpack(), np.argwhere(mask))


@given(MASKS, st.sampled_from([2, 16]), st.integers(0, 2**31))
def test_the_array_computes_exactly_the_needed_outputs(mask, size, seed) -> None:
    generator = np.random.default_rng(seed)
    inputs = generator.integers(-128, 128, (mask.shape[0], 5), np.int8)
    weights = generator.integers(-128, 128, (5, mask.shape[1]), np.int8)

    outputs = execute(pack(mask, size, size), inputs, weights)

    exact = inputs.astype(np.int64) @ weights.astype(np.int64)
    assert np.array_equal(outputs, np.where(mask, exact, 0))


@given(MASKS)
@settings(max_examples=30)
def test_compiled_and_plain_code_pack_alike(plain_merge, mask: np.ndarray) -> None:
    compiled = pack(mask, 4, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conmerge, "merge_tiles", plain_merge)
        plain = pack(mask, 4, 4)

    for name in ("block", "columns", "alternative", "select", "moved"):
        one, other = getattr(compiled, name), getattr(plain, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_the_plain_code_is_plain(plain_merge) -> None:
    pytest.importorskip("numba")

    assert hasattr(conmerge_merge.merge_tiles, "py_func")
    assert not hasattr(plain_merge, "py_func")


@given(MASKS)
def test_a_unit_uses_what_its_line_and_lane_carry(mask: np.ndarray) -> None:
    packing = pack(mask, 4, 4)

    tile, line, lane = np.nonzero(packing.select >= 0)
    column = packing.columns[tile, packing.select[tile, line, lane], lane]
    other = packing.alternative[tile, line][packing.moved[tile, line, lane]]
    assert np.all(column >= 0)
    assert np.all(other >= 0)
    assert not packing.moved[packing.select < 0].any()


def test_a_full_mask_takes_as_many_tiles_as_a_dense_product() -> None:
    packing = pack(np.ones((32, 64), bool))

    assert packing.num_tiles == packing.num_condensed_tiles == packing.num_dense_tiles == 2 * 4


def test_an_empty_mask_takes_none() -> None:
    packing = pack(np.zeros((33, 50), bool))

    assert (packing.num_tiles, packing.num_condensed_tiles, packing.num_dense_tiles) == (0, 0, 12)
    assert packing.unpack().shape == (0, 2)


def test_three_tiles_of_one_row_share_an_array_and_a_fourth_does_not() -> None:
    mask = np.zeros((16, 64), bool)
    mask[5] = True

    assert [pack(mask, merge_limit=limit).num_tiles for limit in (1, 2, 3, 4)] == [4, 2, 2, 1]


def test_a_tile_that_does_not_fit_is_left_for_a_later_host() -> None:
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)  # two full columns, one half, one empty

    packing = pack(mask, rows=2, lanes=1)

    assert packing.columns[:, :, 0].tolist() == [[0, -1, -1], [1, -1, -1], [2, -1, -1]]


@given(hnp.arrays(np.bool_, st.tuples(st.just(3), st.integers(0, 6))), st.integers(1, 3))
@settings(max_examples=60)
def test_no_packing_is_better_than_the_optimum(mask: np.ndarray, lanes: int) -> None:
    assert fewest_tiles(mask, lanes) <= pack(mask, 3, lanes).num_tiles


def test_the_optimum_of_masks_solved_by_hand() -> None:
    full, diagonal = np.ones((3, 4), bool), np.tile(np.eye(3, dtype=bool), 2)

    assert fewest_tiles(full, lanes=2) == 2
    assert fewest_tiles(diagonal, lanes=2) == 1
    assert fewest_tiles(diagonal, lanes=2, merge_limit=2) == 2
    assert fewest_tiles(np.eye(3, 1, dtype=bool).repeat(4, axis=1), lanes=1) == 2


def test_a_mask_too_large_for_the_optimum_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`mask` must have at most 4 rows and 10 .* got 5 and 3"):
        fewest_tiles(np.ones((5, 3), bool), 2)


# Tiles of a 256 x 1024 mask, condensed and merged, by an earlier prototype: it stops at
# the first tile that does not fit a host. Ours goes on, and so needs fewer where little fits. The
# prototype's clustered masks are not known; column densities from Beta(0.52, .) condense like them.
RANDOM = {
    0.70: (1024, 628),
    0.80: (1005, 456),
    0.90: (844, 287),
    0.95: (590, 204),
    0.97: (396, 136),
}
CLUSTERED = {
    0.70: (792, 474),
    0.80: (716, 365),
    0.90: (560, 214),
    0.95: (418, 143),
    0.97: (312, 112),
}


def assert_near_the_prototype(packing: conmerge.Packing, condensed: int, merged: int) -> None:
    assert packing.num_dense_tiles == 1024
    assert packing.num_condensed_tiles == pytest.approx(condensed, rel=0.04)
    assert 0.85 * merged <= packing.num_tiles <= 1.04 * merged


@pytest.mark.parametrize("sparsity", RANDOM)
def test_random_masks_take_as_few_tiles_as_the_prototype(sparsity: float) -> None:
    packing = pack(np.random.default_rng(0).random((256, 1024)) >= sparsity)

    assert_near_the_prototype(packing, *RANDOM[sparsity])


@pytest.mark.parametrize("sparsity", CLUSTERED)
def test_clustered_masks_take_as_few_tiles_as_the_prototype(sparsity: float) -> None:
    generator, density = np.random.default_rng(0), 1 - sparsity
    densities = generator.beta(0.52, 0.52 * (1 - density) / density, 1024)

    packing = pack(generator.random((256, 1024)) < densities)

    assert_near_the_prototype(packing, *CLUSTERED[sparsity])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones((2, 2)),), TypeError, "`mask` must be a bool array, got dtype float64"),
        ((np.ones(2, bool),), ValueError, r"`mask` must have two axes, got shape \(2,\)"),
        ((np.ones((2, 2), bool), 0), ValueError, r"`rows` must be in \[1, 32767\], got 0"),
        ((np.ones((2, 2), bool), 1, 0), ValueError, "`lanes` must be at least 1, got 0"),
        ((np.ones((2, 2), bool), 1, 1, 0), ValueError, r"`merge_limit` must be in \[1, 127\]"),
    ],
)
def test_a_bad_argument_is_named(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        pack(*arguments)


def test_operands_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must make outputs of shape \(2, 3\), got \(2, 4\)"):
        execute(pack(np.ones((2, 3), bool)), np.ones((2, 5), int), np.ones((5, 4), int))


def test_a_packing_that_computes_an_output_twice_is_refused() -> None:
    packing = pack(np.ones((1, 2), bool), lanes=1)
    packing.columns[:] = 0

    with pytest.raises(ValueError, match=r"`packing` must compute output \(0, 0\) once"):
        execute(packing, np.ones((1, 1), int), np.ones((1, 2), int))
