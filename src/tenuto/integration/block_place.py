"""Watch a whole block: what goes in, what comes out, and skip it where all of it is forecast."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tenuto.integration.call import span_key
from tenuto.integration.engine import Engine
from tenuto.integration.families import BlockFamily
from tenuto.integration.wrapping import ForwardWrap


class BlockPlace:
    """One block.

    A run of consecutive blocks that compute nothing is forecast as one: its first block adds the
    forecast of what the whole run adds to the streams, the others pass them on. Forecasts are
    linear in the history, so this equals forecasting each block's increment, at the cost and with
    the memory of one.
    """

    def __init__(
        self,
        engine: Engine,
        block: nn.Module,
        family: BlockFamily,
        index: int,
        spans: tuple[tuple[int, int], ...],
    ) -> None:
        """Hook the block.

        Args:
            engine: Decides.
            block: The block.
            family: Its row in the table.
            index: Its position among all blocks.
            spans: The runs of blocks that the schedule will ever forecast as one.
        """
        self._engine, self._block, self._family, self._index = engine, block, family, index
        self._begins = [span for span in spans if span[0] == index]
        self._ends = [span for span in spans if span[1] == index]
        self._names = tuple(inspect.signature(type(block).forward).parameters)[1:]
        self._wrap = ForwardWrap(block, self._run)

    def follow(self) -> bool:
        """Hook again what another library unwrapped."""
        return self._wrap.follow()

    def remove(self) -> None:
        """Unhook."""
        self._wrap.remove()

    def _run(self, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = self._engine.call
        if call is None:
            return inner(*args, **kwargs)
        streams = self._streams(args, kwargs)
        if self._index in call.skip:
            return self._skipped(call.skip[self._index], streams)
        if self._engine.reduction.guide == "input":
            call.inputs[self._index] = streams[0]
        for span in self._begins:
            call.starts[span] = streams
        output = inner(*args, **kwargs)
        self._observe(output)
        return output

    def _streams(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
        """Image stream into the block, and text stream where the block returns one."""
        inputs = {**dict(zip(self._names, args, strict=False)), **kwargs}
        image = inputs["hidden_states"]
        if self._family.returns == "image":
            return (image,)
        return (image, inputs["encoder_hidden_states"])

    def _output_streams(self, output: Any) -> tuple[Tensor, ...]:
        """Image stream out of the block, and text stream where it goes on."""
        image, text = self._family.image_of(output), self._family.text_of(output)
        return (image,) if text is None else (image, text)

    def _skipped(self, span: tuple[int, int], streams: tuple[Tensor, ...]) -> Any:
        """Pass the streams on; the first block of a span adds the span's forecast."""
        engine = self._engine
        engine.counters.skipped(self._block)
        if self._index == span[0]:
            increments = engine.forecast(span_key(*span))
            assert increments is not None
            grown = tuple(s + i for s, i in zip(streams, increments, strict=False))
            streams = grown + streams[len(grown) :]
        return self._family.output_of(*streams)

    def _observe(self, output: Any) -> None:
        """Let the engine learn from a block that ran."""
        engine = self._engine
        call = engine.call
        assert call is not None
        streams = self._output_streams(output)
        is_watched = call.row[self._index] == 0 or engine.reduction.rematch
        if engine.reduction.guide == "block" and is_watched:
            engine.match((self._index, "block"), self._index, streams[0])
        for span in self._ends:
            start = call.starts.get(span)  # None where another library skipped its first block
            if start is not None and not any(call.row[span[0] : span[1] + 1]):
                increments = tuple(o - s for o, s in zip(streams, start, strict=False))
                engine.remember(span_key(*span), increments)
