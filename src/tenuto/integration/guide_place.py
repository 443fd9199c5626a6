"""Look at a module that is matched on but not reduced."""

from typing import Any

from torch import Tensor, nn

from tenuto.integration.engine import Engine
from tenuto.integration.layer_hooks import LayerHooks
from tenuto.integration.text_rows import split_rows


class GuidePlace:
    """One module whose dense outputs guide the matching of its block."""

    def __init__(
        self, engine: Engine, block: nn.Module, name: str, block_index: int, text_first: bool
    ) -> None:
        """Hook the module of a block; text rows that it puts out too stand first or last."""
        self._engine, self._index, self._text_first = engine, block_index, text_first
        self._hook = LayerHooks(block, name, after=self._look)

    def follow(self) -> bool:
        """Hook the module that another library put in the place of the hooked one."""
        return self._hook.follow()

    def remove(self) -> None:
        """Unhook."""
        self._hook.remove()

    def _look(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        call = self._engine.call
        if call is None or call.row[self._index] != 0:
            return
        image: Tensor = output[0] if isinstance(output, tuple) else output
        image, _ = split_rows(image, call.tokens_of(self._index), self._text_first)
        self._engine.match((self._index, self._engine.reduction.guide), self._index, image)
