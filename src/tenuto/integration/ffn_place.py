"""FFN-Reuse on one feed-forward: dense iterations mark, sparse ones recompute what is marked.

The place wraps the two linear layers and nothing between them: activations, gates and dropout are
the module's own and work on condensed hidden layers as they are. Token reduction hooks the module
around these layers, so both compose: it decides which rows a feed-forward computes, FFN-Reuse which
hidden values of these rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.hidden_marks import change_scores, output_norms
from tenuto.algorithms.restore import gather_rows
from tenuto.errors import UnsupportedModelError
from tenuto.integration.engine import Engine
from tenuto.integration.feed_forward import FeedForwardLayers
from tenuto.integration.hidden_execution import Elements, Tiles
from tenuto.integration.memory import Key
from tenuto.integration.reused_hidden import ReusedHidden
from tenuto.integration.wrapping import ForwardWrap


@dataclass(frozen=True, slots=True)
class _Sparse:
    """A sparse iteration: what is reused, and the marks of the rows at hand."""

    partial: Tensor
    seen: Any
    rows_share: float
    marks: Tensor


class FFNPlace:
    """The two linear layers of one feed-forward."""

    def __init__(
        self, engine: Engine, setting: FFNReuse, layers: FeedForwardLayers, key: Key
    ) -> None:
        """Hook the layers.

        Args:
            engine: Knows the call, keeps the state, counts.
            setting: Not off.
            layers: What to hook.
            key: Of the place at which token reduction gathers this feed-forward's rows, if any.
        """
        self._engine, self._setting, self._layers, self._key = engine, setting, layers, key
        self._execute: Any = (Elements if setting.granularity == "element" else Tiles)(
            layers, setting
        )
        self._iteration: _Sparse | str | None = None
        self._wraps = [ForwardWrap(layers.down, self._down)]
        if setting.granularity != "element":
            self._wraps.append(ForwardWrap(layers.up, self._up))

    def remove(self) -> None:
        """Unhook."""
        for wrap in self._wraps:
            wrap.remove()

    def follow(self) -> bool:
        """Wrap again what another library unwrapped.

        Raises:
            UnsupportedModelError: Other layers took the place of the hooked ones.
        """
        if not self._layers.are_in_place:
            raise UnsupportedModelError(
                f"the projections of {self._layers.place} must stay the layers that were there in "
                "`accelerate` for FFNReuse: call `remove()` before an adapter wraps them"
            )
        return any([wrap.follow() for wrap in self._wraps])

    def _up(self, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tokens: Tensor = args[0]
        if self._engine.call is None or tokens.shape[1] == 0:
            return inner(*args, **kwargs)
        self._iteration = self._decide(tokens)
        if isinstance(self._iteration, str):
            return inner(*args, **kwargs)
        return self._execute.up(tokens, self._iteration.seen)

    def _down(
        self, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        values: Tensor = args[0]
        if self._engine.call is None or values.shape[1] == 0:
            return inner(*args, **kwargs)
        iteration, self._iteration = self._iteration, None
        if self._setting.granularity == "element":
            iteration = self._decide(values)
        self._check_once()
        if isinstance(iteration, _Sparse):
            return self._sparse(inner, values, iteration)
        assert iteration is not None
        self._engine.counters.dense(iteration)
        output = inner(*args, **kwargs)
        self._learn(inner, values, output)
        return output

    def _check_once(self) -> None:
        """Raise where a block runs its feed-forward in pieces: they would share one state."""
        call = self._engine.call
        assert call is not None
        if self._key in call.reused:
            raise UnsupportedModelError(
                f"{self._layers.place} must run once in a call of the model for FFNReuse, got a "
                "second time (switch feed-forward chunking off)"
            )
        call.reused.add(self._key)

    def _decide(self, rows: Tensor) -> _Sparse | str:
        """Return what to reuse, or why this iteration is dense."""
        call = self._engine.call
        assert call is not None
        reused, gathered = call.memory.reused.get(self._key), call.gathered.get(self._key)
        marked_at = None if reused is None else reused.step_index
        if not self._setting.is_sparse(call.moment.step_index, marked_at):
            kept = "" if gathered is None else ", of kept rows"
            return f"dense iteration of FFN-Reuse{kept}"
        assert reused is not None
        num_rows = rows.shape[1] if gathered is None else gathered.num_rows
        if (rows.shape[0], num_rows) != tuple(reused.partial.shape[:2]):
            return "feed-forward rows changed"
        if self._engine.must_be_exact is not None:
            return self._engine.must_be_exact
        seen = self._execute.seen(reused.marks, gathered, num_rows)
        if gathered is None:
            return _Sparse(reused.partial, seen, 1.0, reused.marks)
        partial = gather_rows(reused.partial, gathered.flat)
        return _Sparse(partial, seen, rows.shape[1] / num_rows, reused.marks)

    def _sparse(self, inner: Callable[..., Any], values: Tensor, iteration: _Sparse) -> Tensor:
        """Return the down-projection of what is recomputed, with the partial sum of the rest."""
        output = self._execute.down(inner, values, iteration.seen) + iteration.partial
        self._observe(iteration)
        saved = (1 - self._execute.share(iteration.seen)) * iteration.rows_share
        down_saved = saved * self._layers.hidden / self._layers.down.in_features
        savings = dict.fromkeys(self._layers.up.modules(), (saved, 0.0))
        savings.update(dict.fromkeys(self._layers.down.modules(), (down_saved, 0.0)))
        self._engine.counters.reduced(savings)
        self._engine.counters.extra(output.numel())
        return output

    def _observe(self, iteration: _Sparse) -> None:
        """Tell which hidden values were computed, of which rows."""
        call = self._engine.call
        assert call is not None
        gathered = call.gathered.get(self._key)
        self._engine.counters.observer.hidden_live(
            self._layers, iteration.marks, gathered, lambda: self._execute.live(iteration.seen)
        )

    def _learn(self, inner: Callable[..., Any], values: Tensor, output: Tensor) -> None:
        """Mark what the coming sparse iterations recompute, and keep what the rest gives."""
        call = self._engine.call
        assert call is not None
        step_index = call.moment.step_index
        is_marking = self._setting.marks_at(step_index, call.moment.num_steps)
        is_watching = is_marking or self._setting.select == "change"
        if self._key in call.gathered or not is_watching:
            return
        hidden = values[..., self._layers.offset :]
        scores = self._scores(hidden)
        if not is_marking:
            return
        marks = self._execute.mark(scores)
        seen = self._execute.seen(marks, None, values.shape[1])
        partial = output - self._execute.of_marked(inner, values, seen)
        call.memory.reused[self._key] = ReusedHidden(step_index, marks, partial.detach())
        self._engine.counters.extra(self._execute.num_products(seen) * output.shape[-1])

    def _scores(self, hidden: Tensor) -> Tensor:
        """Return what the hidden values are marked by; for changes, remember them."""
        if self._setting.select == "magnitude":
            return hidden.detach().abs()
        call = self._engine.call
        assert call is not None
        previous = call.memory.hidden.get(self._key)
        call.memory.hidden[self._key] = hidden.detach().contiguous()
        if previous is None or previous.shape != hidden.shape:
            return hidden.detach().abs()
        norms = output_norms(self._layers.down.weight.detach()[:, self._layers.offset :])
        return change_scores(hidden.detach(), previous, norms)
