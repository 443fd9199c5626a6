"""Linear layers of which each tile of rows needs some columns only, as small dense products.

A tile is a run of rows of one sample; `bounds` lists, for each sample, where its tiles begin and
the last one ends. Slicing a weight costs a copy of the slice: little against the product as long as
a tile has a few hundred rows.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from tenuto.algorithms.shapes import Float, Int

Bounds = Sequence[Sequence[int]]


def even_bounds(batch: int, num_rows: int, tile_rows: int) -> Bounds:
    """Return the bounds of tiles of equal length; the last tile takes what is left.

    >>> even_bounds(1, 10, 4)
    ((0, 4, 8, 10),)
    """
    return ((*range(0, num_rows, tile_rows), num_rows),) * batch


def project_to_columns(
    tokens: Float[Tensor, "batch rows channels"],
    weight: Float[Tensor, "out channels"],
    bias: Float[Tensor, " out"] | None,
    columns: Int[Tensor, "batch tiles picked"],
    bounds: Bounds,
) -> Float[Tensor, "batch rows picked"]:
    """Return the outputs of a linear layer that each tile picks.

    >>> project_to_columns(torch.tensor([[[2.0], [3.0]]]), torch.tensor([[1.0], [10.0]]), None,
    ...                    torch.tensor([[[1], [0]]]), ((0, 1, 2),)).flatten().tolist()
    [20.0, 3.0]
    """
    products = [
        F.linear(
            tokens[sample, rows],
            weight.index_select(0, picked),
            None if bias is None else bias.index_select(0, picked),
        )
        for sample, rows, picked in _tiles(columns, bounds)
    ]
    return _joined(products, tokens)


def project_from_columns(
    picked_values: Float[Tensor, "batch rows picked"],
    weight: Float[Tensor, "out channels"],
    columns: Int[Tensor, "batch tiles picked"],
    bounds: Bounds,
) -> Float[Tensor, "batch rows out"]:
    """Return what each tile's picked inputs of a linear layer give; without the bias.

    >>> project_from_columns(torch.tensor([[[2.0], [3.0]]]), torch.tensor([[1.0, 10.0]]),
    ...                      torch.tensor([[[1], [0]]]), ((0, 1, 2),)).flatten().tolist()
    [20.0, 3.0]
    """
    products = [
        F.linear(picked_values[sample, rows], weight.index_select(1, picked))
        for sample, rows, picked in _tiles(columns, bounds)
    ]
    return _joined(products, picked_values)


def pick_columns(
    values: Float[Tensor, "batch rows channels"],
    columns: Int[Tensor, "batch tiles picked"],
    bounds: Bounds,
) -> Float[Tensor, "batch rows picked"]:
    """Return the values in each tile's picked columns."""
    parts = [
        values[sample, rows].index_select(1, picked)
        for sample, rows, picked in _tiles(columns, bounds)
    ]
    return _joined(parts, values)


def _tiles(columns: Tensor, bounds: Bounds) -> Iterator[tuple[int, slice, Tensor]]:
    """Go through samples and tiles; tiles without rows are left out."""
    for sample, edges in enumerate(bounds):
        for tile, (start, end) in enumerate(pairwise(edges)):
            if end > start:
                yield sample, slice(start, end), columns[sample, tile]


def _joined(parts: list[Tensor], like: Tensor) -> Tensor:
    rows = parts[0] if len(parts) == 1 else torch.cat(parts)
    return rows.view(*like.shape[:2], -1)
