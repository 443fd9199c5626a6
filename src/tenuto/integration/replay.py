"""Run a transformer with all its blocks replaced by a given increment: what a forecast would do."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from tenuto.integration.families import BlockFamily, family_of
from tenuto.integration.wrapping import ForwardWrap


class Replay:
    """A transformer whose blocks add `increment` to the image stream; None runs them."""

    def __init__(self) -> None:
        """Run the blocks."""
        self.increment: Tensor | None = None


@contextmanager
def replaying(model: nn.Module) -> Iterator[Replay]:
    """Make a transformer's blocks replaceable inside a with block.

    Raises:
        UnsupportedModelError: The transformer is not in the table of families.
    """
    rows = family_of(model).blocks_of(model)
    replay = Replay()
    wraps = [
        ForwardWrap(block, _around(replay, row, block, is_first=index == 0))
        for index, (row, block) in enumerate(rows)
    ]
    try:
        yield replay
    finally:
        for wrap in wraps:
            wrap.remove()


def _around(replay: Replay, row: BlockFamily, block: nn.Module, is_first: bool) -> Any:
    names = tuple(inspect.signature(type(block).forward).parameters)[1:]

    def around(inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if replay.increment is None:
            return inner(*args, **kwargs)
        inputs = {**dict(zip(names, args, strict=False)), **kwargs}
        image = inputs["hidden_states"]
        image = image + replay.increment if is_first else image
        return row.output_of(image, inputs.get("encoder_hidden_states"))

    return around
