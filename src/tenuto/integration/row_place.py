"""Reduce a module that works row by row: a feed-forward, or a cross-attention's queries."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tenuto.algorithms.match_plan import merge_into_destinations
from tenuto.algorithms.restore import gather_rows, restore_rows
from tenuto.integration.call import Dense, Partial, Predicted
from tenuto.integration.engine import Engine
from tenuto.integration.memory import Key
from tenuto.integration.rows import PlanRows
from tenuto.integration.wrapping import ForwardWrap


class RowPlace:
    """One module whose output rows depend on their own input rows alone.

    Its first argument is the image stream, rows in the order of the token grid.
    """

    def __init__(self, engine: Engine, module: nn.Module, key: Key, pairs_key: Key) -> None:
        """Hook the module.

        Args:
            engine: Decides.
            module: Feed-forward or cross-attention.
            key: Of this place.
            pairs_key: Of the pairs that it uses; equal to `key` where it is its own guide.
        """
        self._engine, self._module = engine, module
        self._key, self._pairs_key = key, pairs_key
        # A cross-attention's keys and values, of text and of images, are projected in any case.
        names = ("to_k", "to_v", "add_k_proj", "add_v_proj")
        other_side = [getattr(module, name, None) for name in names]
        self._reduced = [m for m in module.modules() if m not in other_side]
        guide = engine.reduction.guide
        self._is_guide = pairs_key == key if guide == "module" else guide == key[1]
        self._wrap = ForwardWrap(module, self._run)

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
                if self._is_guide:
                    engine.match(self._pairs_key, self._key[0], output)
                engine.remember(self._key, (output,))
                return output
            case Predicted():
                engine.counters.skipped(self._module)
                forecast = engine.forecast(self._key)
                assert forecast is not None
                return forecast[0]
            case Partial(rows):
                return self._partial(rows, inner, args, kwargs)

    def _partial(
        self,
        rows: PlanRows,
        inner: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        stream = stream_of(args, kwargs)
        if self._engine.reduction.merge:
            stream = merged(stream, rows)
        args, kwargs = with_stream(args, kwargs, gather_rows(stream, rows.kept()))
        kept = inner(*args, **kwargs)
        share = rows.plan.ratio
        self._engine.counters.reduced(dict.fromkeys(self._reduced, (share, share)))
        return restore(self._engine, self._key, rows, kept)


def restore(engine: Engine, key: Key, rows: PlanRows, kept: Tensor) -> Tensor:
    """Return all image tokens' outputs from the kept ones', by the engine's formula."""
    forecast = engine.forecast(key)
    image = None if forecast is None else forecast[0]
    gain = engine.reduction.gain
    if image is not None and gain > 0:
        engine.counters.extra(image.numel() + kept.numel())
    return restore_rows(kept, rows.kept(), rows.slots, image, gain)


def merged(stream: Tensor, rows: PlanRows) -> Tensor:
    """Return the stream with destinations averaged; text rows, if any, come first and stay."""
    num_text = stream.shape[1] - rows.plan.num_tokens
    if num_text == 0:
        return merge_into_destinations(stream, rows.plan)
    image = merge_into_destinations(stream[:, num_text:], rows.plan)
    return torch.cat([stream[:, :num_text], image], 1)


def stream_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the image stream of a module's call: its first argument, however it is passed."""
    return args[0] if args else kwargs["hidden_states"]


def with_stream(
    args: tuple[Any, ...], kwargs: dict[str, Any], stream: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with another image stream."""
    return ((stream, *args[1:]), kwargs) if args else ((), {**kwargs, "hidden_states": stream})
