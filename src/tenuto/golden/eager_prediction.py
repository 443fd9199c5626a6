"""Eager prediction: guess the attention scores in log-domain integers, and what they leave to do.

Every product is of operands reduced to their leading ones (`tenuto.golden.leading_one`), every sum
is exact, every rounding is stated: hardware and `tenuto.algorithms.eager_prediction` are held to
these functions bit for bit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenuto.golden.leading_one import LeadingOnes, approximate

Integers = NDArray[np.integer[Any]]
Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionPlan:
    """What an attention computes; leading axes (batch, heads) as the scores have them.

    Attributes:
        keep: bool (..., queries, keys): exact scores that are computed. A one-hot row keeps its
            target alone.
        one_hot: bool (..., queries): rows whose softmax is taken for one-hot. They need no query
            and no score; their output is the target's value.
        target: int64 (..., queries): the key with the highest predicted score.
        needed_queries: bool (..., queries): query rows to project.
        needed_keys: bool (..., keys): key rows to project.
        needed_values: bool (..., keys): value rows to project.
    """

    keep: Mask
    one_hot: Mask
    target: Int64
    needed_queries: Mask
    needed_keys: Mask
    needed_values: Mask


def predict(
    tokens: Integers,
    query_weights: Integers,
    key_weights: Integers,
    *,
    keep_count: int,
    one_hot_threshold: int | None,
    bits: int = 12,
) -> AttentionPlan:
    """Plan an attention from its input alone, before anything is projected.

    Args:
        tokens: (..., tokens, channels) integers of `bits` bits.
        query_weights: (heads, channels, head_dim) integers of `bits` bits.
        key_weights: Likewise.
        keep_count: Scores kept in each row, in [1, tokens].
        one_hot_threshold: As in `plan_from_scores`.
        bits: Width of operands, of predicted queries and of predicted keys; sign included.

    Returns:
        The plan over (..., heads, tokens, tokens).

    Raises:
        ValueError: As `project`, `predict_scores` and `plan_from_scores`.

    Source: EXION (arXiv 2501.05680), eager prediction; FACT (ISCA 2023) for predicting before the
    projection. Requantization and the reading of two-step detection are reconstructed.
    """
    queries = requantize(project(tokens, query_weights, bits), bits)
    keys = requantize(project(tokens, key_weights, bits), bits)
    scores = predict_scores(queries, keys, bits)
    return plan_from_scores(scores, keep_count, one_hot_threshold)


def project(
    tokens: Integers, weights: Integers, bits: int = 12, leading_ones: LeadingOnes = 2
) -> Int64:
    """Project the tokens to every head with shifts and adds.

    Args:
        tokens: (..., tokens, channels) integers of `bits` bits.
        weights: (heads, channels, head_dim) integers of `bits` bits.
        bits: Of the operands, sign included.
        leading_ones: Kept of each operand.

    Returns:
        (..., heads, tokens, head_dim) exact sums.

    Raises:
        ValueError: An operand does not fit `bits`.
    """
    _check_width(tokens, "tokens", bits)
    _check_width(weights, "weights", bits)
    left: Int64 = approximate(tokens, leading_ones).astype(np.int64)
    right: Int64 = approximate(weights, leading_ones).astype(np.int64)
    sums: Int64 = np.matmul(left[..., None, :, :], right)
    return sums


def requantize(sums: Integers, bits: int = 12) -> Int64:
    """Shift each head's sums right until they fit, rounding halves away from zero.

    The shift is one for all tokens and channels of a head: the smallest with which the largest
    magnitude, not yet rounded, fits into `bits` - 1 bits. A magnitude that rounding lifts beyond
    them saturates.

    Args:
        sums: (..., tokens, head_dim) integers.
        bits: Of the results, sign included; at least 2.

    Returns:
        int64 of the same shape, magnitudes up to 2^(bits-1) - 1.
    """
    magnitude = np.abs(sums.astype(np.int64))
    largest = magnitude.max((-2, -1), keepdims=True, initial=0)
    num_bits = np.frexp(largest.astype(np.float64))[1].astype(np.int64)
    # Beyond 2^53 the conversion may round up to the next power of two.
    num_bits -= (largest >> np.maximum(num_bits - 1, 0)) == 0
    shift = np.maximum(num_bits - (bits - 1), 0)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    rounded = np.minimum((magnitude + half) >> shift, 2 ** (bits - 1) - 1)
    return rounded * np.where(sums < 0, np.int64(-1), np.int64(1))


def predict_scores(
    queries: Integers, keys: Integers, bits: int = 12, leading_ones: LeadingOnes = 2
) -> Int64:
    """Multiply every query with every key by shifts and adds.

    Args:
        queries: (..., queries, head_dim) integers of `bits` bits.
        keys: (..., keys, head_dim) integers of `bits` bits.
        bits: Of the operands, sign included.
        leading_ones: Kept of each operand.

    Returns:
        (..., queries, keys) exact sums, unscaled.

    Raises:
        ValueError: An operand does not fit `bits`.
    """
    _check_width(queries, "queries", bits)
    _check_width(keys, "keys", bits)
    left: Int64 = approximate(queries, leading_ones).astype(np.int64)
    right: Int64 = approximate(keys, leading_ones).astype(np.int64)
    sums: Int64 = np.matmul(left, right.swapaxes(-1, -2))
    return sums


def plan_from_scores(
    scores: Integers, keep_count: int, one_hot_threshold: int | None
) -> AttentionPlan:
    """Decide what an attention computes.

    A row is one-hot if its highest score exceeds its second highest by more than the threshold; it
    then keeps its target alone. Any other row keeps its `keep_count` highest scores. Ties go to the
    lower key. Keys are needed where a row that is not one-hot keeps them, values where any row
    does.

    Args:
        scores: (..., queries, keys) predicted, integers; any sign.
        keep_count: Scores kept in a row, in [1, keys].
        one_hot_threshold: In units of the scores, at least 0; None takes no row for one-hot. A row
            with a single key has no second score and is never one-hot.

    Raises:
        ValueError: A number is out of its range.

    Source: EXION (arXiv 2501.05680): top-k of each row, rows that one entry dominates, keys and
    values that nobody needs.

    >>> plan = plan_from_scores(np.array([[9, 1, 2], [5, 5, 4]]), 2, 6)
    >>> plan.keep.astype(int).tolist(), plan.one_hot.tolist()
    ([[1, 0, 0], [1, 1, 0]], [True, False])
    """
    num_keys = scores.shape[-1]
    if not 1 <= keep_count <= num_keys:
        raise ValueError(f"`keep_count` must be in [1, {num_keys}], got {keep_count!r}")
    if one_hot_threshold is not None and one_hot_threshold < 0:
        raise ValueError(f"`one_hot_threshold` must be at least 0, got {one_hot_threshold!r}")
    wide = scores.astype(np.int64)
    order = np.argsort(-wide, axis=-1, kind="stable")
    ranked = np.take_along_axis(wide, order, -1)
    one_hot = np.zeros(scores.shape[:-1], np.bool_)
    if one_hot_threshold is not None and num_keys > 1:
        one_hot = ranked[..., 0] - ranked[..., 1] > one_hot_threshold
    counts = np.where(one_hot, 1, keep_count)[..., None]
    keep = np.zeros(scores.shape, np.bool_)
    np.put_along_axis(keep, order, np.arange(num_keys, dtype=np.int64) < counts, -1)
    soft = keep & ~one_hot[..., None]
    return AttentionPlan(
        keep=keep,
        one_hot=one_hot,
        target=order[..., 0].astype(np.int64),
        needed_queries=~one_hot,
        needed_keys=np.any(soft, -2),
        needed_values=np.any(keep, -2),
    )


def _check_width(values: Integers, name: str, bits: int) -> None:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if values.size and not low <= int(values.min()) <= int(values.max()) <= high:
        raise ValueError(
            f"`{name}` must lie in [{low}, {high}] for {bits} bits, "
            f"got values from {values.min()} to {values.max()}"
        )
