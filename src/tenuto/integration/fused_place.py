"""Reduce a block whose attention and feed-forward share one output projection (Flux single)."""

from typing import Any

import torch
from torch import Tensor, nn

from tenuto.algorithms.restore import gather_rows
from tenuto.integration.call import Dense, Partial, Predicted
from tenuto.integration.engine import Engine
from tenuto.integration.memory import Key
from tenuto.integration.row_place import merged, restore


class FusedPlace:
    """The up- and down-projection beside a compact `AttentionPlace` with the same keys.

    Rows are text and image, text first. On a reduced step up-projection and attention put out kept
    rows only; the down-projection restores them.
    """

    def __init__(
        self, engine: Engine, block: nn.Module, names: tuple[str, str], key: Key, pairs_key: Key
    ) -> None:
        """Hook the two projections of a block."""
        self._engine, self._key, self._pairs_key = engine, key, pairs_key
        self._up, self._down = getattr(block, names[0]), getattr(block, names[1])
        self._attention: nn.Module = block.attn  # type: ignore[assignment]
        self._hooks = [
            self._up.register_forward_pre_hook(self._gather),
            self._down.register_forward_hook(self._restore),
        ]

    def remove(self) -> None:
        """Unhook."""
        for hook in self._hooks:
            hook.remove()

    def _gather(self, layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._engine.call is None:
            return None
        rows = args[0]
        match self._engine.decide(self._key, self._pairs_key):
            case Dense():
                return None
            case Predicted():
                return (rows[:, :0],)
            case Partial(plan_rows):
                if self._engine.reduction.merge:
                    rows = merged(rows, plan_rows)
                num_text = rows.shape[1] - plan_rows.plan.num_tokens
                return (gather_rows(rows, plan_rows.kept(num_text)),)

    def _restore(self, layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        engine = self._engine
        if engine.call is None:
            return None
        num_tokens = engine.call.num_tokens
        match engine.decide(self._key, self._pairs_key):
            case Dense(reason):
                num_text = output.shape[1] - num_tokens
                engine.counters.dense(reason)
                engine.remember(self._key, (output[:, num_text:], output[:, :num_text]))
                return None
            case Predicted():
                engine.counters.skipped(self._attention)
                engine.counters.reduced(dict.fromkeys((self._up, self._down), (1.0, 0.0)))
                forecast = engine.forecast(self._key)
                assert forecast is not None
                return torch.cat([forecast[1], forecast[0]], 1)
            case Partial(rows):
                num_text = output.shape[1] - rows.plan.keep.shape[1]
                saved = rows.plan.src.shape[1] / (num_tokens + num_text)
                engine.counters.reduced(dict.fromkeys((self._up, self._down), (saved, 0.0)))
                text, kept = output[:, :num_text], output[:, num_text:]
                return torch.cat([text, restore(engine, self._key, rows, kept)], 1)
