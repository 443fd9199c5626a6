"""Tell the engine token grids that only feature maps inside the model know (U-Nets)."""

from typing import Any

from torch import nn

from tenuto.integration.engine import Engine
from tenuto.integration.family import ModelFamily
from tenuto.integration.untraced import untraced


class GridWatch:
    """Hooks on the modules that flatten a feature map for the blocks inside them."""

    def __init__(self, engine: Engine, model: nn.Module, family: ModelFamily) -> None:
        """Hook every module of the family's `grid_holder` class; none where it names none."""
        self._engine = engine
        index_of = {block: index for index, (_, block) in enumerate(family.blocks_of(model))}
        self._blocks: dict[nn.Module, list[int]] = {
            holder: [index_of[part] for part in holder.modules() if part in index_of]
            for holder in model.modules()
            if type(holder).__name__ == family.grid_holder
        }
        self._hooks = [
            holder.register_forward_pre_hook(untraced(self._look), with_kwargs=True)
            for holder in self._blocks
        ]

    def remove(self) -> None:
        """Unhook."""
        for hook in self._hooks:
            hook.remove()

    def _look(self, holder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        feature_map = args[0] if args else kwargs["hidden_states"]
        self._engine.see_grid(self._blocks[holder], tuple(feature_map.shape[-2:]))
