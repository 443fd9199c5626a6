"""Reduce a block whose attention and feed-forward share one output projection."""

from typing import Any

from torch import Tensor, nn

from tenuto.algorithms.restore import gather_rows
from tenuto.integration.call import Dense, Partial, Predicted
from tenuto.integration.engine import Engine
from tenuto.integration.family import BlockFamily
from tenuto.integration.layer_hooks import LayerHooks, follow_all
from tenuto.integration.memory import Key
from tenuto.integration.observer import KeptRows
from tenuto.integration.row_place import merged, note_gathered, restore
from tenuto.integration.text_rows import join_rows, split_rows


class FusedPlace:
    """The up- and down-projection beside a compact `AttentionPlace` with the same keys.

    Rows are text and image. On a reduced step up-projection and attention put out kept rows only;
    the down-projection restores them.
    """

    def __init__(
        self, engine: Engine, block: nn.Module, family: BlockFamily, key: Key, pairs_key: Key
    ) -> None:
        """Hook the two projections of a block."""
        assert family.fused is not None
        self._engine, self._key, self._pairs_key = engine, key, pairs_key
        self._text_first = family.text_first
        self._attention: nn.Module = getattr(block, family.self_attention)
        up, down = family.fused
        self._up = LayerHooks(block, up, before=self._gather)
        self._down = LayerHooks(block, down, after=self._restore)

    def follow(self) -> bool:
        """Hook layers that another library put in the places of the hooked ones."""
        return follow_all((self._up, self._down))

    def remove(self) -> None:
        """Unhook."""
        self._up.remove()
        self._down.remove()

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
                rows = merged(self._engine, self._key, rows, plan_rows, self._text_first)
                num_text = rows.shape[1] - plan_rows.plan.num_tokens
                kept = plan_rows.kept(num_text, self._text_first)
                note_gathered(self._engine, self._key, kept, rows.shape[1])
                return (gather_rows(rows, kept),)

    def _restore(self, layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        engine = self._engine
        if engine.call is None:
            return None
        num_tokens = engine.call.tokens_of(self._key[0])
        match engine.decide(self._key, self._pairs_key):
            case Dense(reason):
                engine.counters.dense(reason)
                engine.remember(self._key, split_rows(output, num_tokens, self._text_first))
                return None
            case Predicted():
                engine.counters.skipped(self._attention)
                self._count(1.0)
                for part in self._parts():
                    engine.counters.observer.skipped(part)
                forecast = engine.forecast(self._key)
                assert forecast is not None
                return join_rows(forecast[0], forecast[1], self._text_first)
            case Partial(rows):
                num_reduced = rows.plan.src.shape[1]
                num_rows = output.shape[1] + num_reduced
                self._count(num_reduced / num_rows)
                num_text = num_rows - rows.plan.num_tokens
                kept = KeptRows(rows.kept(num_text, self._text_first), len(output), num_rows)
                engine.counters.observer.rows_kept(self._parts(), kept)
                return restore(engine, self._key, rows, output, self._text_first)

    def _count(self, saved: float) -> None:
        self._engine.counters.reduced(dict.fromkeys(self._parts(), (saved, 0.0)))

    def _parts(self) -> list[nn.Module]:
        """Return the layers with everything in them."""
        return [part for hooks in (self._up, self._down) for part in hooks.layer.modules()]
