"""Wrap a module's forward on the instance, and take the wrapper out again in any order."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import nn

Around = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Called with the inner forward and its arguments; returns what the module puts out."""


class ForwardWrap:
    """A wrapper around one module's forward.

    Other libraries wrap forwards too, before and after us. If someone wrapped ours, removing it
    would cut them off or leave them a dangling reference; it then stays and passes straight on.
    """

    def __init__(self, module: nn.Module, around: Around) -> None:
        """Install the wrapper."""
        inner = module.forward
        self._module = module
        self._previous = module.__dict__.get("forward")
        self._is_active = True

        @wraps(inner)
        def forward(*args: Any, **kwargs: Any) -> Any:
            return around(inner, args, kwargs) if self._is_active else inner(*args, **kwargs)

        self._forward = forward
        module.forward = forward  # type: ignore[method-assign]

    def remove(self) -> None:
        """Take the wrapper out, or turn it into a pass-through where someone wrapped it."""
        self._is_active = False
        if self._module.__dict__.get("forward") is not self._forward:
            return
        if self._previous is None:
            del self._module.__dict__["forward"]
        else:
            self._module.forward = self._previous  # type: ignore[method-assign]
