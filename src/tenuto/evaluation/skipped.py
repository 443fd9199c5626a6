"""What one run left out: shares of the work by block and step, and a few masks, reduced at once.

Nothing larger than a picture is kept: masks of a whole run would fill a disk.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tenuto.algorithms.eager_prediction import AttentionPlan
from tenuto.algorithms.match_plan import MatchPlan
from tenuto.integration.families import BlockFamily, Grid, family_of
from tenuto.integration.feed_forward import FeedForwardLayers
from tenuto.integration.macs import MacTable
from tenuto.integration.memory import Key
from tenuto.integration.observer import Observer, Saving, ScoreLimits
from tenuto.integration.reused_hidden import GatheredRows
from tenuto.integration.steps import Moment

KINDS = ("projections", "scores", "cross-attention", "feed-forward", "block")
"""Of the self- or joint attention: linear layers, and products with scores. The cross-attention
with both. The feed-forward. All of a block."""

_PICTURE = (64, 96)
"""Most rows and columns of a picture."""
_NUM_PICTURES = 3
"""Of each subject: at the first chance in each part of the run."""


class SkippedWork(Observer):
    """Observes one run.

    Shares are of multiply-accumulates, over all guidance branches of a step. Pictures show the
    first sample of the first branch, in the block in the middle: tokens that were not computed,
    hidden values of the feed-forward that were reused, scores of the first head that were dropped.
    """

    def __init__(self, model: nn.Module, num_steps: int) -> None:
        """Begin.

        Args:
            model: The transformer, of a class in the table of families.
            num_steps: Steps of the run.
        """
        rows = family_of(model).blocks_of(model)
        self._num_steps, self._block = num_steps, len(rows) // 2
        self._moment: Moment
        self._parts: dict[nn.Module, tuple[int, str]] = {}
        for index, (row, block) in enumerate(rows):
            named = {part: (index, kind) for part, kind in _kinds(row, block).items()}
            self._parts |= dict.fromkeys(block.modules(), (index, "block")) | named
        self._saved, self._dense = np.zeros((2, len(KINDS), len(rows), num_steps))
        self._pictures: dict[str, list[dict[str, Any]]] = {}
        self._num_due: dict[str, int] = {}

    def to_dict(self) -> dict[str, Any]:
        """Return steps, shares by kind (blocks x steps) and pictures, as plain values.

        A kind that the model does not have is left out; a step without calls is null.
        """
        shares: dict[str, list[list[float | None]]] = {}
        for kind, saved, dense in zip(KINDS, self._saved, self._dense, strict=True):
            if dense.any():
                rows = zip(saved.tolist(), dense.tolist(), strict=True)
                shares[kind] = [[_share(s, d) for s, d in zip(*row, strict=True)] for row in rows]
        pictures = [picture for kind in self._pictures.values() for picture in kind]
        return {"num_steps": self._num_steps, "shares": shares, "pictures": pictures}

    # What an observer is told.

    def call_begins(self, moment: Moment, inputs: Mapping[str, Any]) -> None:
        """Note the step."""
        del inputs
        self._moment = moment

    def call_ends(self, table: MacTable, savings: Sequence[Saving]) -> None:
        """Add up a call."""
        for dense in (table.leaves, table.cores):
            for module, macs in dense.items():
                self._count(self._dense, module, macs, dense is table.cores)
        for module, own, core in savings:
            self._count(self._saved, module, own * table.leaves.get(module, 0), False)
            self._count(self._saved, module, core * table.cores.get(module, 0), True)

    def restored(self, key: Key, plan: MatchPlan, grid: Grid, channels: int) -> None:
        """Take a picture of the reduced tokens."""
        del channels
        if self._is_due("tokens", key[0]):
            self._add("tokens", _on_grid(plan.src[0], grid))

    def hidden_live(
        self,
        layers: FeedForwardLayers,
        marks: Tensor,
        gathered: GatheredRows | None,
        live: Callable[[], Tensor],
    ) -> None:
        """Take a picture of the feed-forward's marks; rows that are not computed have none."""
        del marks
        if self._is_due("hidden values", self._parts[layers.up][0]):
            self._add("hidden values", ~_first_sample(live(), gathered))

    def scores_predicted(
        self,
        attention: nn.Module,
        plan: AttentionPlan,
        limits: ScoreLimits,
        needed: Callable[[], Mapping[nn.Module, Tensor]],
    ) -> None:
        """Take a picture of the first head's scores."""
        del limits, needed
        if self._is_due("scores", self._parts[attention][0]):
            self._add("scores", ~(plan.keep[0, 0] & ~plan.one_hot[0, 0, :, None]))

    # How.

    def _count(self, sums: np.ndarray, module: nn.Module, macs: float, is_core: bool) -> None:
        """Add multiply-accumulates to a module's kind and to its block."""
        if module not in self._parts:
            return  # around the blocks: embeddings, the head
        block, kind = self._parts[module]
        kind = "scores" if is_core and kind == "projections" else kind
        for name in {kind, "block"}:
            sums[KINDS.index(name), block, self._moment.step_index] += macs

    def _is_due(self, what: str, block_index: int) -> bool:
        """Return whether a picture is to be taken: the first in its part of the run."""
        moment = self._moment
        if block_index != self._block or moment.branch != 0:
            return False
        due = 1 + _NUM_PICTURES * moment.step_index // self._num_steps
        is_due = self._num_due.get(what, 0) < due
        self._num_due[what] = due
        return is_due

    def _add(self, what: str, skipped: Tensor) -> None:
        """Reduce a mask (rows, columns), True where nothing was computed, to a picture."""
        size = (min(skipped.shape[0], _PICTURE[0]), min(skipped.shape[1], _PICTURE[1]))
        picture = torch.nn.functional.adaptive_avg_pool2d(skipped[None].float(), size)[0]
        self._pictures.setdefault(what, []).append(
            {
                "of": what,
                "block": self._block,
                "step": self._moment.step_index,
                "rows": skipped.shape[0],
                "columns": skipped.shape[1],
                "skipped": [[round(share, 2) for share in row] for row in picture.tolist()],
            }
        )


def _kinds(row: BlockFamily, block: nn.Module) -> dict[nn.Module, str]:
    """Return the modules of a block that belong to a kind of work of their own."""
    fused = dict.fromkeys(row.fused or (), "feed-forward")
    names = {
        row.self_attention: "projections",
        row.image_attention: "projections",
        row.cross_attention: "cross-attention",
        row.feed_forward: "feed-forward",
        **fused,
    }
    parts = ((getattr(block, name, None), kind) for name, kind in names.items() if name)
    return {inner: kind for part, kind in parts if part is not None for inner in part.modules()}


def _share(saved: float, dense: float) -> float | None:
    return round(saved / dense, 4) if dense else None


def _first_sample(live: Tensor, gathered: GatheredRows | None) -> Tensor:
    """Return the marks (rows, hidden) of all rows of the first sample."""
    if gathered is None:
        return live[0]
    marks = live.new_zeros(gathered.num_rows, live.shape[-1])
    rows = gathered.flat.view(len(live), -1)[0]
    return marks.index_copy(0, rows, live[0])


def _on_grid(reduced: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Mark tokens on their grid; the frames of a video stand side by side. Bool (rows, columns)."""
    marks = torch.zeros(prod(grid), dtype=torch.bool, device=reduced.device)
    marks[reduced] = True
    return marks.view(-1, *grid[-2:]).transpose(0, 1).reshape(grid[-2], -1)
