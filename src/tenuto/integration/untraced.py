"""Keep a function out of torch.compile's graphs."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., Any])


def untraced(function: F) -> F:
    """Return the function for torch.compile to step around; what it calls is not compiled either.

    Traced into a graph, counts and decisions of one step would compile it anew at every step.
    """
    return torch.compiler.disable(function)  # type: ignore[return-value]
