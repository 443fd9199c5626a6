"""What one run left out: shares of the work by block and step, and a few masks, reduced at once.

Nothing larger than a picture is kept: masks of a whole run would fill a disk.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tenuto.algorithms.eager_prediction import AttentionPlan
from tenuto.integration.call import Call, Partial
from tenuto.integration.families import BlockFamily, family_of
from tenuto.integration.macs import MacTable
from tenuto.integration.steps import Moment
from tenuto.integration.watcher import Saving

KINDS = ("projections", "scores", "cross-attention", "feed-forward", "block")
"""Of the self- or joint attention: linear layers, and products with scores. The cross-attention
with both. The feed-forward. All of a block."""

_PICTURE = (64, 96)
"""Most rows and columns of a picture."""
_NUM_PICTURES = 3
"""Of each subject: at the first chance in each part of the run."""


class SkippedWork:
    """A `Watcher` of one run.

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

    # What a watcher is told.

    def see_hidden(self, moment: Moment, block_index: int, make: Callable[[], Tensor]) -> None:
        """Take a picture of the feed-forward's marks."""
        if self._is_due("hidden values", moment, block_index):
            self._add("hidden values", moment, ~make()[0])

    def see_scores(self, moment: Moment, block_index: int, plan: AttentionPlan) -> None:
        """Take a picture of the first head's scores."""
        if self._is_due("scores", moment, block_index):
            computed = plan.keep[0, 0] & ~plan.one_hot[0, 0, :, None]
            self._add("scores", moment, ~computed)

    def see_call(self, call: Call, savings: Sequence[Saving], dense: MacTable) -> None:
        """Add up a call, and take a picture of its reduced tokens."""
        for table in (dense.leaves, dense.cores):
            for module, macs in table.items():
                self._count(self._dense, module, macs, call.moment, table is dense.cores)
        for module, own, core in savings:
            leaf, product = own * dense.leaves.get(module, 0), core * dense.cores.get(module, 0)
            self._count(self._saved, module, leaf, call.moment, False)
            self._count(self._saved, module, product, call.moment, True)
        decisions = {key: d for key, d in call.decisions.items() if isinstance(d, Partial)}
        for key, decision in decisions.items():
            if self._is_due("tokens", call.moment, key[0]):
                reduced = decision.rows.plan.src[0]
                self._add("tokens", call.moment, _on_grid(reduced, call.grid_of(key[0])))

    # How.

    def _count(
        self, sums: np.ndarray, module: nn.Module, macs: float, moment: Moment, is_core: bool
    ) -> None:
        """Add multiply-accumulates to a module's kind and to its block."""
        if module not in self._parts:
            return  # around the blocks: embeddings, the head
        block, kind = self._parts[module]
        kind = "scores" if is_core and kind == "projections" else kind
        for name in {kind, "block"}:
            sums[KINDS.index(name), block, moment.step_index] += macs

    def _is_due(self, what: str, moment: Moment, block_index: int) -> bool:
        """Return whether a picture is to be taken: the first in its part of the run."""
        if block_index != self._block or moment.branch != 0:
            return False
        due = 1 + _NUM_PICTURES * moment.step_index // self._num_steps
        is_due = self._num_due.get(what, 0) < due
        self._num_due[what] = due
        return is_due

    def _add(self, what: str, moment: Moment, skipped: Tensor) -> None:
        """Reduce a mask (rows, columns), True where nothing was computed, to a picture."""
        size = (min(skipped.shape[0], _PICTURE[0]), min(skipped.shape[1], _PICTURE[1]))
        picture = torch.nn.functional.adaptive_avg_pool2d(skipped[None].float(), size)[0]
        self._pictures.setdefault(what, []).append(
            {
                "of": what,
                "block": self._block,
                "step": moment.step_index,
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


def _on_grid(reduced: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Mark tokens on their grid; the frames of a video stand side by side. Bool (rows, columns)."""
    marks = torch.zeros(prod(grid), dtype=torch.bool, device=reduced.device)
    marks[reduced] = True
    return marks.view(-1, *grid[-2:]).transpose(0, 1).reshape(grid[-2], -1)
