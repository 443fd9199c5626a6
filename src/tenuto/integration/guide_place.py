"""Look at a module that is matched on but not reduced."""

from typing import Any

from torch import Tensor, nn

from tenuto.integration.engine import Engine


class GuidePlace:
    """One module whose dense outputs guide the matching of its block."""

    def __init__(self, engine: Engine, module: nn.Module, block_index: int) -> None:
        """Hook the module."""
        self._engine, self._index = engine, block_index
        self._hook = module.register_forward_hook(self._look)

    def remove(self) -> None:
        """Unhook."""
        self._hook.remove()

    def _look(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        call = self._engine.call
        if call is None or call.row[self._index] != 0:
            return
        image: Tensor = output[0] if isinstance(output, tuple) else output
        image = image[:, image.shape[1] - call.num_tokens :]
        self._engine.match((self._index, self._engine.reduction.guide), self._index, image)
