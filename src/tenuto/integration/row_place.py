"""Reduce a module that works row by row: a feed-forward, or a cross-attention's queries."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tenuto.algorithms.match_plan import merge_into_destinations
from tenuto.algorithms.restore import gather_rows, restore_rows
from tenuto.integration.call import Dense, Partial, Predicted
from tenuto.integration.engine import Engine
from tenuto.integration.memory import Key
from tenuto.integration.observer import KeptRows
from tenuto.integration.reused_hidden import GatheredRows
from tenuto.integration.rows import PlanRows
from tenuto.integration.text_rows import join_rows, split_rows
from tenuto.integration.wrapping import ForwardWrap


class RowPlace:
    """One module whose output rows depend on their own input rows alone.

    Its first argument is the image stream, rows in the order of the token grid, or text and image
    as one sequence; text rows are never reduced.
    """

    def __init__(
        self,
        engine: Engine,
        module: nn.Module,
        key: Key,
        pairs_key: Key,
        text_first: bool = True,
    ) -> None:
        """Hook the module.

        Args:
            engine: Decides.
            module: Feed-forward or cross-attention.
            key: Of this place.
            pairs_key: Of the pairs that it uses; equal to `key` where it is its own guide.
            text_first: Text rows, if there are any, stand before the image rows.
        """
        self._engine, self._module = engine, module
        self._key, self._pairs_key, self._text_first = key, pairs_key, text_first
        guide = engine.reduction.guide
        self._is_guide = pairs_key == key if guide == "module" else guide == key[1]
        self._wrap = ForwardWrap(module, self._run)

    def follow(self) -> bool:
        """Hook again what another library unwrapped."""
        return self._wrap.follow()

    def remove(self) -> None:
        """Unhook."""
        self._wrap.remove()

    def _run(self, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        engine = self._engine
        if engine.call is None:
            return inner(*args, **kwargs)
        match engine.decide(self._key, self._pairs_key):
            case Dense(reason):
                output = inner(*args, **kwargs)
                engine.counters.dense(reason)
                self._learn(output, engine.call.tokens_of(self._key[0]))
                return output
            case Predicted():
                engine.counters.skipped(self._module)
                forecast = engine.forecast(self._key)
                assert forecast is not None
                image, *text = forecast
                return join_rows(image, text[0], self._text_first) if text else image
            case Partial(rows):
                return self._partial(rows, inner, args, kwargs)

    def _learn(self, output: Tensor, num_tokens: int) -> None:
        image, text = split_rows(output, num_tokens, self._text_first)
        if self._is_guide:
            self._engine.match(self._pairs_key, self._key[0], image)
        self._engine.remember(self._key, (image, text) if text.shape[1] else (image,))

    def _partial(
        self,
        rows: PlanRows,
        inner: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        stream = stream_of(args, kwargs)
        num_text = stream.shape[1] - rows.plan.num_tokens
        share = rows.plan.src.shape[1] / stream.shape[1]
        stream = merged(self._engine, self._key, stream, rows, self._text_first)
        kept = rows.kept(num_text, self._text_first)
        num_rows = stream.shape[1]
        note_gathered(self._engine, self._key, kept, num_rows)
        stream = gather_rows(stream, kept)
        args, kwargs = with_stream(args, kwargs, stream)
        computed = inner(*args, **kwargs)
        reduced = self._reduced()
        self._engine.counters.observer.rows_kept(reduced, KeptRows(kept, len(stream), num_rows))
        self._engine.counters.reduced(dict.fromkeys(reduced, (share, share)))
        return restore(self._engine, self._key, rows, computed, self._text_first)

    def _reduced(self) -> list[nn.Module]:
        """Return the parts that see fewer rows.

        A cross-attention's keys and values, of text and of images, are projected in any case.
        """
        names = ("to_k", "to_v", "add_k_proj", "add_v_proj")
        other_side = [getattr(self._module, name, None) for name in names]
        inside = {part for layer in other_side if layer is not None for part in layer.modules()}
        return [part for part in self._module.modules() if part not in inside]


def restore(
    engine: Engine, key: Key, rows: PlanRows, computed: Tensor, text_first: bool = True
) -> Tensor:
    """Return all rows of a place's output from the computed ones, by the engine's formula.

    Args:
        engine: Has the forecast and the gain.
        key: Of the place.
        rows: Which image rows were computed.
        computed: (batch, kept, channels), or with text rows, which stay as they are.
        text_first: Text rows, if there are any, stand before the image rows.
    """
    kept, text = split_rows(computed, rows.plan.keep.shape[1], text_first)
    restored = _restored(engine, key, rows, kept)
    return join_rows(restored, text, text_first) if text.shape[1] else restored


def _restored(engine: Engine, key: Key, rows: PlanRows, kept: Tensor) -> Tensor:
    """Return the image rows, and count what that takes."""
    plan, gain = rows.plan, engine.reduction.gain
    assert engine.call is not None
    engine.counters.observer.restored(key, plan, engine.call.grid_of(key[0]), kept.shape[-1])
    if plan.soft is not None:
        engine.counters.extra(plan.soft.macs(kept.shape[-1]))
        return plan.soft.unmerge(kept)
    forecast = engine.forecast(key)
    image = None if forecast is None else forecast[0]
    num_values = kept.shape[0] * plan.num_tokens * kept.shape[-1]
    if image is not None and gain > 0:
        engine.counters.extra(num_values + kept.numel())
    if plan.further is not None and (image is None or gain > 0):
        engine.counters.extra(num_values * plan.further.shape[2])
    return restore_rows(kept, rows.kept(), rows.slots, image, gain)


def merged(
    engine: Engine, key: Key, stream: Tensor, rows: PlanRows, text_first: bool = True
) -> Tensor:
    """Return the stream with reduced tokens merged into kept rows, as it is where they are dropped.

    Text rows, if there are any, stay.
    """
    if not engine.merges(key[0]):
        return stream
    image, text = split_rows(stream, rows.plan.num_tokens, text_first)
    soft = rows.plan.soft
    if soft is None:
        image = merge_into_destinations(image, rows.plan, keeps_norm=engine.reduction.keeps_norm)
    else:
        engine.counters.extra(soft.macs(image.shape[-1]))
        flat = image.reshape(-1, image.shape[-1])
        kept = soft.merge(image).flatten(0, 1)
        image = flat.index_copy(0, rows.kept(), kept).view(image.shape)
    return join_rows(image, text, text_first) if text.shape[1] else image


def note_gathered(engine: Engine, key: Key, flat_rows: Tensor, num_rows: int) -> None:
    """Tell what works inside a place which of `num_rows` rows a sample it will see."""
    assert engine.call is not None
    engine.call.gathered[key] = GatheredRows(flat_rows, num_rows)


def stream_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the image stream of a module's call: its first argument, however it is passed."""
    return args[0] if args else kwargs["hidden_states"]


def with_stream(
    args: tuple[Any, ...], kwargs: dict[str, Any], stream: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with another image stream."""
    return ((stream, *args[1:]), kwargs) if args else ((), {**kwargs, "hidden_states": stream})
