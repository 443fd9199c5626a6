"""Hooks on a layer that follow it when another library puts a wrapper in its place.

A LoRA library replaces `attn.to_q` by a wrapper that calls the old layer and adds to what it puts
out. Hooks that stayed on the old layer would see only a part of what the place computes.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from tenuto.integration.untraced import untraced

Before = Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]
After = Callable[[nn.Module, tuple[Any, ...], Any], Any]


class LayerHooks:
    """A hook before and one after whatever layer stands in a place."""

    def __init__(
        self, owner: nn.Module, name: str, before: Before | None = None, after: After | None = None
    ) -> None:
        """Hook the layer that stands there now.

        Args:
            owner: Module that holds the layer.
            name: Path of the layer in it, e.g. ``to_q`` or ``to_out.0``.
            before: May replace the layer's arguments.
            after: May replace the layer's output.
        """
        self._owner, self._name = owner, name
        # What a hook does differs from step to step: it must not be traced into a graph.
        self._before = before and untraced(before)
        self._after = after and untraced(after)
        self._hooks: list[RemovableHandle] = []
        self.layer = owner.get_submodule(name)
        self._install()

    def follow(self) -> bool:
        """Move to the layer that stands there now; return whether it is another one."""
        layer = self._owner.get_submodule(self._name)
        if layer is self.layer:
            return False
        self.remove()
        self.layer = layer
        self._install()
        return True

    def remove(self) -> None:
        """Unhook."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _install(self) -> None:
        if self._before is not None:
            self._hooks.append(self.layer.register_forward_pre_hook(self._before))
        if self._after is not None:
            self._hooks.append(self.layer.register_forward_hook(self._after))


def follow_all(hooks: Sequence[LayerHooks]) -> bool:
    """Let all of them follow; return whether any moved."""
    return any([each.follow() for each in hooks])
