"""Which hidden values of a feed-forward are recomputed: scores, marks, and marks packed to bits."""

import torch
from torch import Tensor

from tenuto.algorithms.shapes import Bool, Float, Int, UInt8


def num_marked(total: int, sparsity: float) -> int:
    """Return how many of a number of values are recomputed: the rounded share, at least one.

    >>> num_marked(10, 0.7), num_marked(10, 0.99)
    (3, 1)
    """
    return max(1, round(total * (1 - sparsity)))


def output_norms(weight: Float[Tensor, "out hidden"]) -> Float[Tensor, " hidden"]:
    """Return how far the output moves for a unit change of each hidden value; float32."""
    return torch.linalg.vector_norm(weight, dim=0, dtype=torch.float32)


def change_scores(
    hidden: Float[Tensor, "batch rows hidden"],
    previous: Float[Tensor, "batch rows hidden"],
    norms: Float[Tensor, " hidden"],
) -> Float[Tensor, "batch rows hidden"]:
    """Score hidden values by what their last change did to the output; float32.

    Args:
        hidden: At this dense iteration.
        previous: At the dense iteration before.
        norms: As `output_norms` returns them.

    Source: ours.

    >>> change_scores(torch.tensor([[[1.0, 5.0]]]), torch.tensor([[[3.0, 5.0]]]),
    ...               torch.tensor([0.5, 2.0])).tolist()
    [[[1.0, 0.0]]]
    """
    return (hidden.float() - previous.float()).abs_().mul_(norms)


def mark_elements(
    scores: Float[Tensor, "batch rows hidden"], sparsity: float
) -> Bool[Tensor, "batch rows hidden"]:
    """Mark the values of each sample whose score is above the sample's quantile.

    The count is the same for every sample: ``num_marked(rows * hidden, sparsity)``. Ties at the
    threshold go to the lowest row, then the lowest column.

    Args:
        scores: At least 0; no NaN.
        sparsity: Share that stays unmarked, in [0, 1).

    Source: EXION (arXiv 2501.05680): a bitmask by a threshold set at run time. The quantile of each
    feed-forward as threshold is our reconstruction; each sample's own is ours.

    >>> mark_elements(torch.tensor([[[1.0, 4.0], [4.0, 3.0]]]), 0.75).int().tolist()
    [[[0, 1], [0, 0]]]
    """
    flat = scores.flatten(1)
    total = flat.shape[1]
    count = num_marked(total, sparsity)
    threshold = flat.kthvalue(total - count + 1, dim=1, keepdim=True).values
    above, at = flat > threshold, flat == threshold
    missing = count - above.sum(1, keepdim=True)
    return (above | (at & (at.cumsum(1) <= missing))).view_as(scores)


def mark_columns(
    scores: Float[Tensor, "batch rows hidden"], sparsity: float, tile_rows: int
) -> Int[Tensor, "batch tiles marked"]:
    """Choose the hidden columns that each run of `tile_rows` rows recomputes.

    A column's score in a tile is the Euclidean norm of its values' scores there. Every tile takes
    ``num_marked(hidden, sparsity)`` columns; ties go to the lowest column.

    Args:
        scores: At least 0; no NaN.
        sparsity: Share of the columns that stays unmarked, in [0, 1).
        tile_rows: >= 1; the last tile of a sample may have fewer rows.

    Returns:
        Column indices in rising order, int64.

    Source: ours.

    >>> mark_columns(torch.tensor([[[3.0, 0.0, 1.0], [0.0, 2.0, 1.0]]]), 0.6, 1).tolist()
    [[[0], [1]]]
    """
    tiles = scores.float().split(tile_rows, dim=1)
    by_column = torch.stack([tile.square().sum(1) for tile in tiles], 1)
    order = by_column.argsort(dim=-1, descending=True, stable=True)
    return order[..., : num_marked(scores.shape[2], sparsity)].sort(-1).values


def pack_bits(marks: Bool[Tensor, "batch rows hidden"]) -> UInt8[Tensor, "batch rows bytes"]:
    """Pack marks to bits, column 0 in the lowest bit of byte 0; each row begins a new byte.

    >>> pack_bits(torch.tensor([[[True, False, True]]])).tolist()
    [[[5]]]
    """
    missing = -marks.shape[2] % 8
    bits = torch.nn.functional.pad(marks, (0, missing)).unflatten(2, (-1, 8))
    packed = torch.zeros(bits.shape[:-1], dtype=torch.uint8, device=marks.device)
    for place in range(8):
        packed |= bits[..., place].to(torch.uint8) << place
    return packed


def unpack_bits(
    packed: UInt8[Tensor, "batch rows bytes"], hidden: int
) -> Bool[Tensor, "batch rows hidden"]:
    """Return the marks that `pack_bits` packed, without what fills the last byte.

    >>> unpack_bits(torch.tensor([[[5]]], dtype=torch.uint8), 3).tolist()
    [[[True, False, True]]]
    """
    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    bits = (packed[..., None] >> places) & 1
    return bits.flatten(2)[..., :hidden].bool()
