"""Sizes and closed forms of cycles that no simulator is needed for."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.conmerge_timing import ConMerge, work_of
from tenuto.golden.conmerge import pack
from tenuto.hardware_timing import EagerRow, Gather, LogDot, Restore, RowSelect

masks = st.tuples(st.integers(0, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))


@given(masks)
def test_the_work_has_as_many_merged_tiles_as_the_golden_packing(
    mask: tuple[int, float, int],
) -> None:
    num_columns, share, seed = mask
    block = np.random.default_rng(seed).random((5, num_columns)) < share

    work = work_of(block, lanes=4, merge_limit=3)
    packing = pack(block, 5, 4, 3)

    assert work.num_merged == packing.num_tiles
    assert work.num_needed == block.any(0).sum()
    assert -(-work.num_needed // 4) == packing.num_condensed_tiles


def test_blocks_overlap_so_two_take_less_than_twice_one() -> None:
    size = ConMerge(rows=4, lanes=4, max_columns=32)
    work = work_of(np.eye(4, 32, dtype=bool) | (np.arange(32) % 5 == 0), 4, 3)

    assert size.cycles([work]) < size.cycles([work, work]) < 2 * size.cycles([work])


def test_no_block_takes_no_cycle() -> None:
    assert ConMerge().cycles([]) == 0


def test_a_sum_of_the_largest_products_fits_the_result() -> None:
    size = LogDot(lanes=4, bits=8, max_length=12)
    largest = 12 * 2**7 * 2**7

    assert largest <= 2 ** (size.result_bits - 1) - 1 < 2 * largest


def test_a_dot_product_that_does_not_fill_its_last_beat_takes_a_whole_one() -> None:
    assert LogDot(lanes=24).cycles(num_dots=3, length=25) == 3 * 2 + 4


def test_empty_words_at_the_end_make_no_address() -> None:
    gather = Gather(word_bits=4, max_tokens=8, row_beats=2)

    assert gather.cycles([1, 0, 2, 0, 0]) == 1 + 2 + 1 + 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogDot(lanes=0), "`lanes` must be at least 1, got 0"),
        (lambda: LogDot(bits=1), "`bits` must be at least 2, got 1"),
        (lambda: RowSelect(num_kept=0), "`num_kept` must be at least 1, got 0"),
        (lambda: Gather(word_bits=8, max_tokens=4), "`max_tokens` must be at least 8, got 4"),
        (lambda: Restore(row_beats=0), "`row_beats` must be at least 1, got 0"),
        (lambda: ConMerge(max_columns=40), "`max_columns` must be a multiple of `lanes`"),
        (lambda: ConMerge(merge_limit=1), "`merge_limit` must be at least 2, got 1"),
    ],
)
def test_a_size_that_cannot_be_built_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_the_row_unit_is_a_pipeline_of_its_two_parts() -> None:
    row = EagerRow(dot=LogDot(lanes=8, max_length=64), max_keys=16, num_kept=4)

    assert row.latency_cycles == 6
    assert row.cycles(num_rows=2, num_keys=16, head_dim=64) == 2 * 16 * 8 + 6
