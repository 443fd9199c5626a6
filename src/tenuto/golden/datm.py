"""Distribution-aware token matching in integers: the definition that hardware is held to.

The tokens of each window compete for being destinations, windows compete for the budget, and the
pairs that lose least are reduced. Ties always go to the lowest index.

| stage          | function              | values; windows of w tokens with d channels        |
|----------------|-----------------------|----------------------------------------------------|
| S1 quantize    | `golden.quantize`     | tokens int8; d <= 65,536                           |
| S1 norm        | `reciprocal_roots`    | squared norm uint31; mantissa uint16, exponent 0-15|
| S3 similarity  | `similarity`          | dot product int32, at most 2^30; its product with  |
|                |                       | two mantissas int64, at most 2^62; result uint15   |
| S4 gain        | `gains`               | covered uint15; gain uint31, 23 bits at w = 256    |
| S5 arbitration | `select_destinations` | of each window one gain, its number, a position    |
| S6 assignment  | `assign`              | similarity uint15, position                        |
| S7 threshold   | `loss_codes`,         | loss uint15; bin uint8, 0-191 occur; tokens in     |
|                | `threshold`           | each bin; boundary bin and its quota               |
| S8 pair writer | `match`               | token indices                                      |

Stages are those of the reconstructed unit; S0 and S2 only move data.
ORBIS (arXiv 2605.22015) names the mechanism, quantized and deeply pipelined; every inner step here
is our reconstruction (docs/decisions/0007).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from tenuto.golden.windows import window_members

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

FRACTION_BITS = 15
"""Similarity 1.0 is 2^15; the largest that occurs is `FULL`."""

FULL = 2**FRACTION_BITS - 1
"""A token's similarity to itself."""

MANTISSA_BITS = 16
MAX_CHANNELS = 65_536
MAX_WINDOW = 65_536
NUM_BINS = 256


@dataclass(frozen=True, slots=True, eq=False)
class MatchPlan:
    """A partition of the tokens: kept ones, and reduced ones with their partners.

    Attributes:
        keep: Token indices that are computed, ascending, int64.
        src: Token indices that are not computed, int64, by falling similarity to the partner (by
            loss code, then by index): the first k are the plan that reduces only k.
        dst: The kept token that stands for each of ``src``, int64.
    """

    keep: Int64
    src: Int64
    dst: Int64


def match(
    tokens: Int8,
    ratio: float,
    *,
    window: int | tuple[int, ...] | None = None,
    num_destinations: int | None = None,
    grid: tuple[int, ...] | None = None,
) -> MatchPlan:
    """Reduce the ``int(ratio * n)`` tokens that lose least by taking a partner in their window.

    Args:
        tokens: (n, d) int8, quantized with any scale a row (`tenuto.golden.quantize`).
        ratio: Share of the tokens to reduce; at most what the destinations leave.
        window: Consecutive tokens, or tokens along each axis of `grid`; border windows are smaller.
            None is 256 in a row, or all tokens where they are fewer.
        num_destinations: Tokens that others may be reduced to, over all windows; at least one a
            window. None is a quarter of the tokens, or what `ratio` leaves.
        grid: Tokens along each axis, row-major; needed for a window with axes.

    Raises:
        ValueError: Tokens, window, grid, ratio or number of destinations are out of range.

    Source: our reconstruction of DATM (ORBIS, arXiv 2605.22015), facility location under one
    global budget.

    >>> plan = match(np.array([[9, 1], [9, 2], [1, 9], [7, 7]], np.int8), 0.25, window=4)
    >>> plan.keep.tolist(), plan.src.tolist(), plan.dst.tolist()
    ([0, 2, 3], [1], [3])
    """
    _check_tokens(tokens)
    num_tokens = len(tokens)
    window = min(256, num_tokens) if window is None else window
    members = window_members(num_tokens, window, grid)
    if len(members[0]) > MAX_WINDOW:
        raise ValueError(f"`window` must hold at most 65,536 tokens, got {len(members[0])}")
    num_reduced = check_ratio(ratio, num_tokens, len(members), num_destinations)
    if num_destinations is None:
        num_destinations = default_destinations(num_tokens, len(members), num_reduced)
    similarities = [similarity(tokens[index]) for index in members]
    partner = np.arange(num_tokens)
    loss = np.full(num_tokens, -1, np.int32)
    for index, matrix, chosen in zip(
        members, similarities, select_destinations(similarities, num_destinations), strict=True
    ):
        nearest, likeness = assign(matrix, chosen)
        is_free = np.ones(len(index), bool)
        is_free[chosen] = False
        partner[index[is_free]] = index[nearest[is_free]]
        loss[index[is_free]] = FULL - likeness[is_free]
    candidates = np.flatnonzero(loss >= 0)
    order = np.argsort(loss_codes(loss[candidates]), kind="stable")
    src = candidates[order[:num_reduced]]
    is_kept = np.ones(num_tokens, bool)
    is_kept[src] = False
    return MatchPlan(keep=np.flatnonzero(is_kept), src=src, dst=partner[src])


def default_destinations(num_tokens: int, num_windows: int, num_reduced: int) -> int:
    """Return a quarter of the tokens, at least one a window, at most what is not reduced."""
    return min(max(num_tokens // 4, num_windows), num_tokens - num_reduced)


def check_ratio(
    ratio: float, num_tokens: int, num_windows: int, num_destinations: int | None
) -> int:
    """Return how many tokens `ratio` reduces, or say why that cannot be.

    Raises:
        ValueError: As `match`.
    """
    if num_destinations is not None and not num_windows <= num_destinations <= num_tokens:
        raise ValueError(
            f"`num_destinations` must be in [{num_windows}, {num_tokens}], one a window at least, "
            f"got {num_destinations!r}"
        )
    most = num_tokens - (num_destinations or num_windows)
    num_reduced = int(num_tokens * ratio) if 0 <= ratio <= 1 else -1
    if not 0 <= num_reduced <= most:
        raise ValueError(
            f"`ratio` must be in [0, {most / num_tokens:.3f}] with "
            f"{num_destinations or num_windows} destinations among {num_tokens} tokens, "
            f"got {ratio!r}"
        )
    return num_reduced


def reciprocal_roots(norms: Int64) -> tuple[Int64, Int64]:
    """Return one over the root of squared norms as mantissa and exponent.

    ``1 / sqrt(norm) = mantissa * 2^-(16 + exponent)``, rounded down: the exponent is that of the
    largest power of 4 in the norm, the mantissa the largest integer below 2^16 with
    ``mantissa^2 * norm <= 2^(32 + 2 * exponent)``; 0 for a norm of 0.

    >>> reciprocal_roots(np.array([0, 1, 2, 9]))
    (array([    0, 65535, 46340, 43690]), array([0, 0, 0, 1]))
    """
    _, binary_exponent = np.frexp(np.maximum(norms, 1).astype(np.float64))  # 1 has 1
    exponent = (binary_exponent.astype(np.int64) - 1) // 2
    quotient = (np.int64(1) << (2 * MANTISSA_BITS + 2 * exponent)) // np.maximum(norms, 1)
    # At most 2^32: float64 takes the root of it without an error that floor would show.
    root = np.floor(np.sqrt(quotient.astype(np.float64))).astype(np.int64)
    return np.where(norms > 0, np.minimum(root, 2**MANTISSA_BITS - 1), 0), exponent


def similarity(tokens: Int8) -> Int32:
    """Return the cosines between all tokens of one window in fixed point, negative ones as 0.

    ``max(0, dot * mantissa_i * mantissa_j >> (17 + exponent_i + exponent_j))``, arithmetic shift;
    `FULL` on the diagonal. Symmetric.

    Args:
        tokens: (w, d) int8.

    Returns:
        (w, w) int32, 0..`FULL`.

    >>> similarity(np.array([[3, 4], [4, 3], [-3, 4]], np.int8)).tolist()
    [[32767, 31456, 9174], [31456, 32767, 0], [9174, 0, 32767]]
    """
    wide = tokens.astype(np.float64)  # holds these integers exactly, and BLAS multiplies them
    dots = (wide @ wide.T).astype(np.int64)
    mantissa, exponent = reciprocal_roots(np.diagonal(dots))
    scaled = dots * mantissa[:, None] * mantissa[None]
    shift = 2 * MANTISSA_BITS - FRACTION_BITS + exponent[:, None] + exponent[None]
    fixed = np.maximum(scaled >> shift, 0).astype(np.int32)
    np.fill_diagonal(fixed, FULL)
    return fixed


def gains(similarities: Int32, covered: Int32) -> Int32:
    """Return what each token of a window would add to the coverage as a destination.

    Args:
        similarities: (w, w), 0..`FULL`.
        covered: (w,) each token's similarity to its best destination so far, 0 without one.

    Returns:
        (w,) ``sum_i max(similarity[i, j] - covered[i], 0)``.
    """
    return np.maximum(similarities - covered[:, None], 0).sum(axis=0, dtype=np.int32)


def select_destinations(similarities: Sequence[Int32], num_destinations: int) -> list[Int64]:
    """Choose destinations greedily: the first of each window, then the best of all windows.

    The largest gain wins, then the lowest window, then the lowest position. Gains within a window
    never grow, so the result is also that of taking each window's own greedy sequence and merging
    the sequences by gain.

    Args:
        similarities: (w, w) of each window.
        num_destinations: Over all windows, at least one a window.

    Returns:
        Of each window, the chosen positions in the order of choice.
    """
    covered = [np.zeros(len(matrix), np.int32) for matrix in similarities]
    chosen: list[list[int]] = [[] for _ in similarities]

    def best(number: int) -> tuple[int, int, int]:
        gain = gains(similarities[number], covered[number])
        gain[chosen[number]] = -1
        position = int(gain.argmax())
        return -int(gain[position]), number, position

    def take(number: int, position: int) -> None:
        chosen[number].append(position)
        np.maximum(covered[number], similarities[number][:, position], out=covered[number])

    for number in range(len(similarities)):
        take(number, best(number)[2])
    queue = [best(number) for number, one in enumerate(chosen) if len(one) < len(covered[number])]
    heapify(queue)
    for _ in range(num_destinations - len(similarities)):
        _, number, position = heappop(queue)
        take(number, position)
        if len(chosen[number]) < len(covered[number]):
            heappush(queue, best(number))
    return [np.array(positions, np.int64) for positions in chosen]


def assign(similarities: Int32, chosen: Int64) -> tuple[Int64, Int32]:
    """Return each token's most similar destination in its window, and the similarity.

    Args:
        similarities: (w, w), 0..`FULL`.
        chosen: Positions of the destinations, in any order; among equals the lowest wins.
    """
    destinations = np.sort(chosen)
    nearest = destinations[similarities[:, destinations].argmax(axis=1)]
    return nearest, similarities[np.arange(len(similarities)), nearest]


def loss_codes(losses: Int32) -> NDArray[np.uint8]:
    """Return the histogram bin of each loss: four bits below the leading one, and its place.

    Losses below 32 have a bin each; above, a bin is a sixteenth as wide as its lower end.

    >>> loss_codes(np.array([0, 15, 31, 32, 33, 34, 32767])).tolist()
    [0, 15, 31, 32, 32, 33, 191]
    """
    _, num_bits = np.frexp(losses.astype(np.float64))
    shift = np.maximum(num_bits - 5, 0)
    return (16 * shift + (losses >> shift)).astype(np.uint8)


def threshold(codes: NDArray[np.uint8], num_reduced: int) -> tuple[int, int]:
    """Return the boundary bin and how many of its tokens, lowest index first, are reduced.

    Tokens in lower bins are all reduced, so exactly `num_reduced` tokens are.

    >>> threshold(np.array([7, 3, 7, 7, 9], np.uint8), 3)
    (7, 2)
    """
    below = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=NUM_BINS))])
    boundary = int(np.searchsorted(below[1:], num_reduced))
    return boundary, num_reduced - int(below[boundary])


def _check_tokens(tokens: Int8) -> None:
    if tokens.dtype != np.int8 or tokens.ndim != 2 or 0 in tokens.shape:
        raise ValueError(
            f"`tokens` must be int8 of shape (n, d), got {tokens.dtype} of {tokens.shape}"
        )
    if tokens.shape[1] > MAX_CHANNELS:
        raise ValueError(f"`tokens` must have at most 65,536 channels, got {tokens.shape[1]}")
