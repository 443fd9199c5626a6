"""Rows of scores with many ties, and queries against keys."""

import numpy as np
from numpy.typing import NDArray

from tenuto import hardware_timing
from tenuto.golden.eager_prediction import plan_from_scores, predict_scores
from tenuto.rtl.cases.log_dot import operands
from tenuto.rtl.eager_row import EagerRow
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import Words, pack
from tenuto.rtl.row_select import RowSelect


def decisions(
    size: hardware_timing.RowSelect, scores: NDArray[np.int64], margin: int, block_rows: int
) -> Words:
    """Return the decisions of (rows, keys) scores, in the layout of `RowSelect.o`."""
    num_rows, num_keys = scores.shape
    plan = plan_from_scores(scores, min(size.num_kept, num_keys), margin)
    keep = np.pad(plan.keep, ((0, 0), (0, size.max_keys - num_keys)))
    soft = keep & ~plan.one_hot[:, None]
    blocks = range(0, num_rows, block_rows)
    keys, values = (
        np.concatenate([np.logical_or.accumulate(needs[b : b + block_rows]) for b in blocks])
        for needs in (soft, keep)
    )
    key_bits = (size.max_keys - 1).bit_length()
    return pack([(plan.one_hot, 1), (plan.target, key_bits), (keep, 1), (keys, 1), (values, 1)])


def _select_case(
    size: hardware_timing.RowSelect, scores: NDArray[np.int64], margin: int, block_rows: int
) -> Case:
    num_rows, num_keys = scores.shape
    is_last = np.arange(num_keys) == num_keys - 1
    ends_block = np.arange(num_rows) % block_rows == block_rows - 1
    ends = (is_last & ends_block[:, None]).reshape(-1)
    return Case(
        unit=lambda: RowSelect(size),
        inputs=pack(
            [
                (scores.reshape(-1), size.bits),
                (np.tile(is_last, num_rows), 1),
                (np.full(scores.size, margin), size.bits),
                (ends, 1),
            ]
        ),
        outputs=decisions(size, scores, margin, block_rows),
        vectors=scores.size,
        cycles=size.cycles(num_rows, num_keys),
    )


def small_select(random: np.random.Generator) -> Case:
    """Return 12 rows of 11 keys, most scores tied, blocks of 5 rows."""
    size = hardware_timing.RowSelect(max_keys=16, num_kept=3, bits=6)
    return _select_case(size, random.integers(-4, 5, (12, 11)), margin=2, block_rows=5)


def large_select(random: np.random.Generator) -> Case:
    """Return 16,000 rows of 64 keys: a million scores, ties among them."""
    size = hardware_timing.RowSelect(max_keys=64, num_kept=8, bits=12)
    return _select_case(size, random.integers(-99, 100, (16_000, 64)), margin=3, block_rows=64)


def row_case(
    size: hardware_timing.EagerRow, left: NDArray[np.int64], right: NDArray[np.int64], margin: int
) -> Case:
    """Return the case of (rows, channels) queries against (keys, channels) keys, one block.

    `channels` must be a multiple of the lanes. A vector is a beat of all lanes.
    """
    num_rows, num_keys, head_dim = len(left), *right.shape
    lanes, bits, beats = size.dot.lanes, size.dot.bits, size.dot.beats(head_dim)
    x = np.repeat(left[:, None], num_keys, axis=1).reshape(-1, lanes)
    w = np.repeat(right[None], num_rows, axis=0).reshape(-1, lanes)
    beat = np.arange(len(x))
    is_last = beat % beats == beats - 1
    row_last = is_last & (beat // beats % num_keys == num_keys - 1)
    ends_block = row_last & (beat == len(x) - 1)
    scores = predict_scores(left, right, bits)
    return Case(
        unit=lambda: EagerRow(size),
        inputs=pack(
            [
                (x, bits),
                (w, bits),
                (is_last, 1),
                (row_last, 1),
                (np.full(len(x), margin), size.dot.result_bits),
                (ends_block, 1),
            ]
        ),
        outputs=decisions(size.select, scores, margin, num_rows),
        vectors=len(x),
        cycles=size.cycles(num_rows, num_keys, head_dim),
    )


def small_row(random: np.random.Generator) -> Case:
    """Return 4 queries against 7 keys of 8 channels, 4 lanes of 6 bits."""
    dot_size = hardware_timing.LogDot(lanes=4, bits=6, max_length=8)
    size = hardware_timing.EagerRow(dot=dot_size, max_keys=8, num_kept=3)
    return row_case(size, operands(random, (4, 8), 6), operands(random, (7, 8), 6), margin=200)


def large_row(random: np.random.Generator) -> Case:
    """Return 4,000 queries against 64 keys of 64 channels in 12 bits: a million beats."""
    dot_size = hardware_timing.LogDot(lanes=16, bits=12, max_length=64)
    size = hardware_timing.EagerRow(dot=dot_size, max_keys=64, num_kept=8)
    left, right = operands(random, (4_000, 64), 8), operands(random, (64, 64), 12)
    return row_case(size, left, right, margin=20_000)
