"""Write one call of a transformer: its dense operations, and of each what was left of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from tenuto.errors import UnsupportedModelError
from tenuto.integration.live_tiles import LiveTiles, Mask, dense_tiles
from tenuto.integration.macs import MacTable, fan_in
from tenuto.integration.observer import KeptRows
from tenuto.integration.trace_layout import Slot
from tenuto.integration.trace_sink import TraceSink
from tenuto.traces.schema import Part

Losses = tuple[int, int, Mapping[int, int]]
"""Windows, tokens of a window, reduced tokens in each bin of losses."""


@dataclass(slots=True)
class CallEffects:
    """What a call left out and did beside.

    Attributes:
        skipped: Modules that computed nothing.
        kept: Rows that token reduction left to layers and attention products, sample by sample
            where the product runs for each alone.
        live: Counts of layers and attention products whose outputs were chosen one by one.
        predicted: Attentions whose scores were predicted by shifts and adds, and the projections
            that were predicted for that.
        overheads: Columns of a technique's own operations, in order.
        losses: Of those that are matchings, by position.
        added_macs: Of all other work of techniques.
    """

    skipped: set[nn.Module] = field(default_factory=set)
    kept: dict[nn.Module, list[KeptRows]] = field(default_factory=dict)
    live: dict[nn.Module, LiveTiles] = field(default_factory=dict)
    predicted: set[nn.Module] = field(default_factory=set)
    overheads: list[dict[str, int]] = field(default_factory=list)
    losses: dict[int, Losses] = field(default_factory=dict)
    added_macs: int = 0


def write_call(
    sink: TraceSink,
    slots: list[Slot],
    table: MacTable,
    effects: CallEffects,
    place: tuple[int, int],
) -> None:
    """Write the operations of a call in order, overheads last.

    Args:
        sink: Takes them.
        slots: What the model's layers and attentions are.
        table: Their dense sizes.
        effects: What was left of them.
        place: Step, and number of the first block.
    """
    _CallWriter(sink, table, effects, place).write(slots)


class _CallWriter:
    def __init__(
        self, sink: TraceSink, table: MacTable, effects: CallEffects, place: tuple[int, int]
    ) -> None:
        self._sink, self._table, self._effects = sink, table, effects
        self._step, self._first_block = place
        self._operation_of: dict[nn.Module, int] = {}
        self._masks: dict[tuple[int, int], Mask] = {}

    def write(self, slots: list[Slot]) -> None:
        for slot in slots:
            if slot.is_attention:
                self._attention(slot)
            elif slot.module in self._table.leaves:
                self._layer(slot)
        self._overheads()

    def _operation(self, slot: Slot, part: Part, sizes: dict[str, int], **more: Any) -> int:
        block = slot.block + self._first_block if slot.block >= 0 else -1
        row = {"step": self._step, "block": block, **sizes}
        return self._sink.writer.operation(part=part, **row, **more)

    def _tiled(self, slot: Slot, part: Part, sizes: dict[str, int], tiles: LiveTiles | None) -> int:
        """Write an operation with tiles of its own, or a dense one."""
        if tiles is not None and int(tiles.rows.sum()) != sizes["rows"]:
            raise UnsupportedModelError(
                f"{type(slot.module).__name__} of block {slot.block} must see all its rows at once "
                f"to be recorded, got {int(tiles.rows.sum())} of {sizes['rows']}"
            )
        index = self._operation(slot, part, sizes, tiled=tiles is not None)
        if tiles is not None:
            self._sink.writer.tiles(index, **tiles.to_columns())
        return index

    def _layer(self, slot: Slot) -> None:
        """A linear layer or convolution; a fused down-projection is two products."""
        layer: Any = slot.module
        inner = fan_in(layer)
        columns = layer.out_features if isinstance(layer, nn.Linear) else len(layer.weight)
        rows = self._table.leaves[layer] // (inner * columns)
        sizes = {"rows": rows, "inner": inner, "columns": columns}
        if rows == 0:
            return
        if layer in self._effects.predicted:
            self._operation(slot, Part.PREDICT_PROJECTION, sizes)
        tiles = self._left_of(layer, rows, columns)
        if slot.offset:
            self._tiled(slot, Part.PROJECTION, sizes | {"inner": slot.offset}, tiles)
            sizes["inner"] -= slot.offset
        if slot.up in self._effects.live and slot.up not in self._effects.skipped:
            self._operation(slot, slot.part, sizes, tiles_of=self._operation_of[slot.up])
            return
        self._operation_of[layer] = self._tiled(slot, slot.part, sizes, tiles)

    def _left_of(self, layer: nn.Module, rows: int, columns: int) -> LiveTiles | None:
        effects, tile_rows = self._effects, self._sink.tile_rows
        if layer in effects.skipped:
            return dense_tiles(np.zeros((1, rows), np.bool_), tile_rows, columns)
        if layer in effects.live:
            return effects.live[layer]
        if layer not in effects.kept:
            return None
        mask = self._mask_of(effects.kept[layer][-1])
        return dense_tiles(mask.reshape(1, -1), tile_rows, columns)

    def _attention(self, slot: Slot) -> None:
        """Both score products of every call of an attention."""
        for batch, queries, keys, channels in self._table.attended.get(slot.module, ()):
            heads = int(getattr(slot.module, "heads", 1))  # type: ignore[arg-type]
            count, width = batch * heads, channels // heads
            tiles, kept_keys = self._left_of_scores(slot.module, (count, queries, keys))
            shared = {"rows": queries, "count": count, "kept_keys": kept_keys}
            if slot.module in self._effects.predicted:
                sizes = {"rows": queries, "inner": width, "columns": keys, "count": count}
                self._operation(slot, Part.PREDICT_SCORES, sizes)
            scores = shared | {"inner": width, "columns": keys}
            index = self._tiled(slot, slot.part, scores, tiles)
            values = shared | {"inner": keys, "columns": width}
            owner = -1 if tiles is None else index
            self._operation(slot, Part(slot.part + 1), values, tiles_of=owner)

    def _left_of_scores(
        self, attention: nn.Module, sizes: tuple[int, int, int]
    ) -> tuple[LiveTiles | None, int]:
        """Return the tiles of an attention's scores, and how many keys were left."""
        effects, tile_rows = self._effects, self._sink.tile_rows
        count, queries, keys = sizes
        if attention in effects.skipped:
            return dense_tiles(np.zeros((1, queries), np.bool_), tile_rows, keys, count), keys
        if attention in effects.live:
            return effects.live[attention].padded(queries, tile_rows), keys
        if attention not in effects.kept:
            return None, keys
        kept = effects.kept[attention]
        masks = [self._mask_of(each) for each in kept]
        # Attentions that take each sample alone leave out the padding of its text.
        mask = np.concatenate([np.pad(m, ((0, 0), (0, queries - m.shape[1]))) for m in masks])
        kept_keys = max(each.num_keys or keys for each in kept)
        return dense_tiles(mask, tile_rows, kept_keys, count // len(mask)), kept_keys

    def _mask_of(self, kept: KeptRows) -> Mask:
        """Return (samples, rows) whether each row is left; rows are shared by many layers."""
        key = (id(kept.flat), kept.samples * kept.num_rows)
        if key not in self._masks:
            mask = np.zeros(key[1], np.bool_)
            mask[slice(None) if kept.flat is None else kept.flat.cpu().numpy()] = True
            self._masks[key] = mask
        return self._masks[key].reshape(kept.samples, kept.num_rows)

    def _overheads(self) -> None:
        writer = self._sink.writer
        for position, row in enumerate(self._effects.overheads):
            sizes: dict[str, Any] = {"step": self._step, **row}
            index = writer.operation(**sizes)
            if position in self._effects.losses:
                windows, window_tokens, bins = self._effects.losses[position]
                writer.append("matches", {
                    "operation": np.full(len(bins), index),
                    "num_windows": np.full(len(bins), windows),
                    "window_tokens": np.full(len(bins), window_tokens),
                    "loss_bin": np.array(list(bins)),
                    "tokens": np.array(list(bins.values())),
                })  # fmt: skip
        if self._effects.added_macs:
            writer.operation(part=Part.ADDED, step=self._step, rows=0, inner=0, columns=0,
                             added_macs=self._effects.added_macs)  # fmt: skip
