"""Wrap a module's forward on the instance, and take the wrapper out again in any order."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import nn

from tenuto.integration.untraced import untraced

Around = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called with the inner forward and its arguments; returns what the module puts out."""


class ForwardWrap:
    """A wrapper around one module's forward.

    Other libraries wrap forwards too, before and after us. If someone wrapped ours, removing it
    would cut them off or leave them a dangling reference; it then stays and passes straight on.
    """

    def __init__(self, module: nn.Module, around: Around) -> None:
        """Install the wrapper."""
        self._module, self._around = module, around
        self._is_active = True
        self._install()

    def follow(self) -> bool:
        """Install the wrapper again where another library took it out with its own.

        A library that wrapped the module before us and puts the bare forward back on leaving
        (diffusers' hooks, accelerate's) drops ours, too.
        """
        own = self._module.__dict__.get("forward")
        is_bare = own is None or getattr(own, "__func__", None) is type(self._module).forward
        if is_bare:
            self._install()
        return is_bare

    def _install(self) -> None:
        inner = self._module.forward
        self._previous = self._module.__dict__.get("forward")

        @untraced
        @wraps(inner)
        def forward(*args: Any, **kwargs: Any) -> Any:
            return self._around(inner, args, kwargs) if self._is_active else inner(*args, **kwargs)

        self._forward = forward
        self._module.forward = forward  # type: ignore[method-assign]

    def remove(self) -> None:
        """Take the wrapper out, or turn it into a pass-through where someone wrapped it."""
        self._is_active = False
        if self._module.__dict__.get("forward") is not self._forward:
            return
        if self._previous is None:
            del self._module.__dict__["forward"]
        else:
            self._module.forward = self._previous  # type: ignore[method-assign]
