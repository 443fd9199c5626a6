"""Stop a pipeline between two calls of its transformer, and tell how far it came."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

from torch import nn

from tenuto.integration.steps import noise_level


class CancelledError(Exception):
    """The user cancelled; the pipeline and its techniques are as before the run."""


@contextmanager
def interruptible(
    model: nn.Module, cancel: Event, on_step: Callable[[int], None]
) -> Iterator[None]:
    """Let a run be cancelled inside a with block.

    Args:
        model: The transformer. Any pipeline will do: nothing is asked of it but that it calls.
        cancel: Raises `CancelledError` before the next call once it is set.
        on_step: Called with the step, from 1, when the timestep changes.
    """
    seen: list[float] = []

    def before_call(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del module, args
        if cancel.is_set():
            raise CancelledError
        level = noise_level(kwargs["timestep"]) if "timestep" in kwargs else float(-len(seen))
        if not seen or level != seen[-1]:
            seen.append(level)
            on_step(len(seen))

    # First of all hooks: a technique never sees the call that does not take place.
    hook = model.register_forward_pre_hook(before_call, prepend=True, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
