"""How sparse iterations use what a dense one left: single values, or tiles of columns.

`Elements` and `Tiles` carry out the granularities of FFN-Reuse on one feed-forward.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from tenuto.algorithms.condensed import (
    Bounds,
    even_bounds,
    pick_columns,
    project_from_columns,
    project_to_columns,
)
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.hidden_marks import mark_columns, mark_elements, pack_bits, unpack_bits
from tenuto.algorithms.restore import gather_rows
from tenuto.integration.feed_forward import FeedForwardLayers
from tenuto.integration.reused_hidden import GatheredRows

Linear = Callable[[Tensor], Tensor]
"""A layer's own forward."""


class Elements:
    """Single hidden values, computed with the layers' own dense calls."""

    def __init__(self, layers: FeedForwardLayers, setting: FFNReuse) -> None:
        """Take the layers and the sparsity."""
        self._layers, self._sparsity = layers, setting.sparsity

    def mark(self, scores: Tensor) -> Tensor:
        """Return packed marks."""
        return pack_bits(mark_elements(scores, self._sparsity))

    def seen(self, marks: Tensor, gathered: GatheredRows | None, num_rows: int) -> Tensor:
        """Return the marks of the rows that the feed-forward sees, unpacked."""
        del num_rows
        if gathered is not None:
            rows = marks.flatten(0, 1).index_select(0, gathered.flat)
            marks = rows.view(marks.shape[0], -1, marks.shape[2])
        return unpack_bits(marks, self._layers.hidden)

    def mask(self, marks: Tensor, num_rows: int) -> Tensor:
        """Return (batch, rows, hidden) which values are marked; bool."""
        del num_rows
        return unpack_bits(marks, self._layers.hidden)

    def live(self, seen: Tensor) -> Tensor:
        """Return which hidden values are computed, (batch, rows, hidden) bool."""
        return seen

    def share(self, seen: Tensor) -> float:
        """Return the share of the hidden layer that is marked."""
        return int(seen.sum()) / seen.numel()

    def num_products(self, seen: Tensor) -> int:
        """Return how many values an element-sparse machine multiplies for the partial sum."""
        return int(seen.sum())

    def of_marked(self, own: Linear, values: Tensor, seen: Tensor) -> Tensor:
        """Return what the down-projection makes of the marked values."""
        values = values.clone()
        values[..., self._layers.offset :].masked_fill_(~seen, 0)
        return own(values)

    down = of_marked


@dataclass(frozen=True, slots=True)
class _SeenTiles:
    """Tiles of the rows that a feed-forward sees.

    `order` brings rows of one tile together and `back` undoes it, both flat; None where they are.
    """

    columns: Tensor
    bounds: Bounds
    order: Tensor | None = None
    back: Tensor | None = None


class Tiles:
    """Hidden columns for each run of rows, as condensed dense products."""

    def __init__(self, layers: FeedForwardLayers, setting: FFNReuse) -> None:
        """Take the layers, the sparsity and the size of a tile."""
        self._layers, self._setting = layers, setting

    def _tile_rows(self, num_rows: int) -> int:
        return self._setting.tile_rows if self._setting.granularity == "tile" else num_rows

    def mark(self, scores: Tensor) -> Tensor:
        """Return the columns of every tile."""
        return mark_columns(scores, self._setting.sparsity, self._tile_rows(scores.shape[1]))

    def seen(self, marks: Tensor, gathered: GatheredRows | None, num_rows: int) -> _SeenTiles:
        """Return the tiles of the rows that the feed-forward sees."""
        batch, tiles = marks.shape[:2]
        if gathered is None:
            return _SeenTiles(marks, even_bounds(batch, num_rows, self._tile_rows(num_rows)))
        rows = gathered.flat.view(batch, -1)
        if tiles == 1:
            return _SeenTiles(marks, even_bounds(batch, rows.shape[1], rows.shape[1]))
        tile_of = rows % gathered.num_rows // self._tile_rows(gathered.num_rows)
        wanted = torch.arange(1, tiles + 1, device=marks.device).expand(batch, -1).contiguous()
        ranked, order = tile_of.sort(dim=1, stable=True)
        ends = torch.searchsorted(ranked, wanted).tolist()
        bounds = tuple((0, *sample) for sample in ends)
        if torch.equal(ranked, tile_of):
            return _SeenTiles(marks, bounds)
        offsets = torch.arange(batch, device=marks.device)[:, None] * rows.shape[1]
        flat_order = (order + offsets).flatten()
        return _SeenTiles(marks, bounds, flat_order, flat_order.argsort())

    def mask(self, marks: Tensor, num_rows: int) -> Tensor:
        """Return (batch, rows, hidden) which values are marked; bool."""
        tiles = torch.zeros(*marks.shape[:2], self._layers.hidden, dtype=torch.bool)
        tiles = tiles.to(marks.device).scatter_(2, marks, True)
        return tiles.repeat_interleave(self._tile_rows(num_rows), dim=1)[:, :num_rows]

    def live(self, seen: _SeenTiles) -> Tensor:
        """Return which hidden values are computed, (batch, rows, hidden) bool."""
        counts = [[end - start for start, end in pairwise(edges)] for edges in seen.bounds]
        columns = seen.columns.new_zeros(*seen.columns.shape[:2], self._layers.hidden)
        tiles = columns.scatter(2, seen.columns, 1).bool().flatten(0, 1)
        repeats = torch.tensor(counts, device=tiles.device).flatten()
        rows = tiles.repeat_interleave(repeats, 0)
        rows = rows if seen.back is None else rows.index_select(0, seen.back)
        return rows.view(len(seen.bounds), -1, self._layers.hidden)

    def share(self, seen: _SeenTiles) -> float:
        """Return the share of the hidden layer that is marked."""
        return seen.columns.shape[2] / self._layers.hidden

    def num_products(self, seen: _SeenTiles) -> int:
        """Return how many values are multiplied for the partial sum."""
        rows = sum(edges[-1] for edges in seen.bounds)
        return rows * (self._layers.offset + seen.columns.shape[2])

    def up(self, tokens: Tensor, seen: _SeenTiles) -> Tensor:
        """Return the up-projection's outputs for the marked hidden values only."""
        layer, hidden = self._layers.up, self._layers.hidden
        columns = torch.cat([seen.columns + hidden * i for i in range(self._layers.gates)], 2)
        tokens = tokens if seen.order is None else gather_rows(tokens, seen.order)
        picked = project_to_columns(tokens, layer.weight, layer.bias, columns, seen.bounds)
        return picked if seen.back is None else gather_rows(picked, seen.back)

    def of_marked(self, own: Linear, values: Tensor, seen: _SeenTiles) -> Tensor:
        """Return what the down-projection makes of the marked values among all."""
        del own
        columns = self._inputs(seen)
        picked = pick_columns(values, columns, seen.bounds)
        return project_from_columns(picked, self._layers.down.weight, columns, seen.bounds)

    def down(self, own: Linear, values: Tensor, seen: _SeenTiles) -> Tensor:
        """Return what the down-projection makes of marked values that stand alone."""
        del own
        values = values if seen.order is None else gather_rows(values, seen.order)
        weight = self._layers.down.weight
        output = project_from_columns(values, weight, self._inputs(seen), seen.bounds)
        return output if seen.back is None else gather_rows(output, seen.back)

    def _inputs(self, seen: _SeenTiles) -> Tensor:
        """Inputs of the down-projection for each tile: all before the hidden layer, and its own."""
        offset = self._layers.offset
        if offset == 0:
            return seen.columns
        before = torch.arange(offset, device=seen.columns.device)
        return torch.cat([before.expand(*seen.columns.shape[:2], -1), seen.columns + offset], 2)
