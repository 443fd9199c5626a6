"""Turn what the places of one transformer tell of a call into operations and tiles of a trace.

Masks are reduced to counts where they are told of; a call is written when it came to its end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from tenuto.algorithms.datm import Datm, loss_codes, window_of
from tenuto.algorithms.eager_prediction import AttentionPlan
from tenuto.algorithms.match_plan import MatchPlan
from tenuto.integration.family import Grid, ModelFamily
from tenuto.integration.feed_forward import FeedForwardLayers
from tenuto.integration.live_tiles import LiveTiles, Mask, dense_tiles, mask_tiles
from tenuto.integration.macs import MacTable
from tenuto.integration.memory import Key
from tenuto.integration.observer import KeptRows, Matching, Observer, Saving, ScoreLimits
from tenuto.integration.reused_hidden import GatheredRows
from tenuto.integration.steps import Moment
from tenuto.integration.trace_call import CallEffects, write_call
from tenuto.integration.trace_layout import Slot, layout_of
from tenuto.integration.trace_samples import offer_mask, offer_matching, offer_prediction
from tenuto.integration.trace_sink import TraceSink
from tenuto.traces.schema import Part

_LOSS_BITS = 15
_CODES_A_BIN = 16


class TraceRecorder(Observer):
    """Observes one transformer. Changes nothing in it."""

    def __init__(
        self, model: nn.Module, family: ModelFamily, sink: TraceSink, first_block: int
    ) -> None:
        """Listen to a model whose blocks are numbered from `first_block` in the trace."""
        self._model, self._family, self._sink, self._first_block = model, family, sink, first_block
        self._table: MacTable | None = None
        self._slots: list[Slot] = []
        self._blocks: dict[nn.Module, int] = {}
        self._step = 0
        self._effects = CallEffects()
        self._operands: dict[nn.Module, tuple[Tensor, Tensor]] = {}
        self._branch = 0
        self._marked: dict[tuple[nn.Module, int], tuple[Tensor, LiveTiles]] = {}

    # The call.

    def call_begins(self, moment: Moment, inputs: Mapping[str, Any]) -> None:
        """Begin a call's effects."""
        self._effects = CallEffects()
        self._step, self._branch = self._sink.step_of(id(self), moment), moment.branch
        self._sink.see_inputs(inputs)

    def call_lost(self) -> None:
        """Drop the call's effects."""
        self._effects = CallEffects()
        self._operands.clear()

    def call_ends(self, table: MacTable, savings: Sequence[Saving]) -> None:
        """Write every operation of the call; what was saved was told where it was saved."""
        del savings
        if table is not self._table:
            self._table, self._slots = table, layout_of(self._model, self._family)
        write_call(self._sink, self._slots, table, self._effects, (self._step, self._first_block))
        self._effects = CallEffects()

    # What was left out.

    def skipped(self, module: nn.Module) -> None:
        """Everything in it."""
        self._effects.skipped.update(module.modules())

    def rows_kept(self, modules: Iterable[nn.Module], kept: KeptRows) -> None:
        """Of layers and attention products."""
        for module in modules:
            self._effects.kept.setdefault(module, []).append(kept)

    def hidden_live(
        self,
        layers: FeedForwardLayers,
        marks: Tensor,
        gathered: GatheredRows | None,
        live: Callable[[], Tensor],
    ) -> None:
        """Count the hidden values; the same marks of all rows need no second count."""
        marked = self._marked.get((layers.up, self._branch))
        if gathered is None and marked is not None and marked[0] is marks:
            self._effects.live[layers.up] = marked[1]
            return
        mask = live().detach().cpu().numpy()
        batch, num_rows = mask.shape[:2]
        mask = mask.reshape(-1, mask.shape[2])
        place = np.arange(len(mask))
        if gathered is not None:
            flat, num_rows = gathered.flat.cpu().numpy(), gathered.num_rows
            order = np.argsort(flat, kind="stable")
            mask, place = mask[order], flat[order]
        tiles = self._counted([mask], [place], batch * num_rows, (layers.up, Part.FFN_UP))
        tiles = tiles.times(layers.gates)
        self._effects.live[layers.up] = tiles
        if gathered is None:
            self._marked[layers.up, self._branch] = marks, tiles

    def operands_quantized(self, attention: nn.Module, queries: Tensor, keys: Tensor) -> None:
        """Keep them until the plan that is made of them is told."""
        self._operands[attention] = queries, keys

    def scores_predicted(
        self,
        attention: nn.Module,
        plan: AttentionPlan,
        limits: ScoreLimits,
        needed: Callable[[], Mapping[nn.Module, Tensor]],
    ) -> None:
        """Count kept scores, and the rows that each head needs of every projection."""
        effects, tile_rows = self._effects, self._sink.tile_rows
        for layer, rows in needed().items():
            by_head = rows.transpose(0, 1).flatten(1).cpu().numpy()
            width = int(layer.out_features) // len(by_head)  # type: ignore[arg-type]
            effects.live[layer] = dense_tiles(by_head, tile_rows, width, is_needed=True)
        keep = plan.keep.flatten(0, 1).cpu().numpy()
        rows = [np.flatnonzero(~one) for one in plan.one_hot.flatten(0, 1).cpu().numpy()]
        masks = [mask[own] for mask, own in zip(keep, rows, strict=True)]
        tiles = self._counted(masks, rows, keep.shape[1], (attention, Part.SCORES))
        effects.live[attention] = tiles.with_all_kept()
        operands = self._operands.pop(attention, None)
        if operands is not None:
            values = {getattr(attention, name, None) for name in ("to_v", "add_v_proj")}
            effects.predicted |= {attention, *needed()} - values
            place = self._step, self._block_of(attention)
            offer_prediction(self._sink.samples, operands, plan, limits, place)

    # What techniques did beside.

    def matched(self, matching: Matching) -> None:
        """Note the sizes of a matching and what the reduced tokens lose."""
        features, plan = matching.features.detach(), matching.plan
        batch, num_tokens, channels = features.shape
        window_tokens, num_windows = num_tokens, -(-matching.macs // features.numel())
        if isinstance(matching.matcher, Datm):
            window = window_of(matching.matcher, matching.grid)
            window_tokens = int(np.prod(window))
            axes = matching.grid if len(window) > 1 else (num_tokens,)
            num_windows = int(np.prod([-(-g // w) for g, w in zip(axes, window, strict=True)]))
        columns = window_tokens if isinstance(matching.matcher, Datm) else num_windows
        self._note(matching.key, Part.MATCH, (batch * num_tokens, channels, columns), matching.macs)
        self._effects.losses[len(self._effects.overheads) - 1] = (
            num_windows, window_tokens, _loss_bins(features, plan.src, plan.dst),
        )  # fmt: skip
        offer_matching(self._sink.samples, matching, self._step)

    def restored(self, key: Key, plan: MatchPlan, grid: Grid, channels: int) -> None:
        """From partners."""
        del grid
        self._note(key, Part.RESTORE, (plan.src.numel(), 0, channels))

    def forecast(self, key: Key, outputs: tuple[Tensor, ...], num_outputs: int) -> None:
        """From stored outputs."""
        for output in outputs:
            channels = output.shape[-1]
            self._note(key, Part.RESTORE, (output.numel() // channels, num_outputs, channels))

    def remembered(self, key: Key, outputs: tuple[Tensor, ...]) -> None:
        """Into histories."""
        for output in outputs:
            channels = output.shape[-1]
            self._note(key, Part.REMEMBER, (output.numel() // channels, 1, channels))

    def added(self, macs: int) -> None:
        """Beside matching."""
        self._effects.added_macs += macs

    # How.

    def _note(self, key: Key, part: Part, sizes: tuple[int, int, int], added_macs: int = 0) -> None:
        names = ("rows", "inner", "columns")
        row = {"block": self._first_block + key[0], "part": part, "added_macs": added_macs}
        self._effects.overheads.append(row | dict(zip(names, sizes, strict=True)))

    def _counted(
        self, masks: list[Mask], places: list[Any], num_rows: int, of: tuple[nn.Module, Part]
    ) -> LiveTiles:
        module, part = of
        for copy, mask in enumerate(masks):
            place = (self._step, self._block_of(module), int(part), copy)
            offer_mask(self._sink.samples, mask, place)
        return mask_tiles(masks, places, num_rows, self._sink.tile_rows, self._sink.packer)

    def _block_of(self, module: nn.Module) -> int:
        """Return the number in the trace of the block that a module is in."""
        if not self._blocks:
            blocks = self._family.blocks_of(self._model)
            self._blocks = {
                part: self._first_block + index
                for index, (_, block) in enumerate(blocks)
                for part in block.modules()
            }
        return self._blocks[module]


def _loss_bins(features: Tensor, src: Tensor, dst: Tensor) -> dict[int, int]:
    """Return how many reduced tokens fall into each bin of `tenuto.traces.Matches.loss_bin`."""
    width = features.shape[-1]

    def picked(index: Tensor) -> Tensor:
        return features.gather(1, index.long()[..., None].expand(-1, -1, width)).float()

    likeness = nn.functional.cosine_similarity(picked(src), picked(dst), dim=-1)
    full = 2**_LOSS_BITS
    losses = ((1 - likeness) * full).clamp(0, full - 1).int()
    bins, tokens = (loss_codes(losses) // _CODES_A_BIN).unique(return_counts=True)
    return dict(zip(bins.tolist(), tokens.tolist(), strict=True))
