"""The handle of an acceleration: statistics, and the way back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from weakref import WeakKeyDictionary, ref

from torch import nn

from tenuto.integration.engine import Engine
from tenuto.integration.observer import UNOBSERVED, Observer
from tenuto.integration.stats import Stats

_ENGINES: "WeakKeyDictionary[nn.Module, ref[Engine]]" = WeakKeyDictionary()
"""Engines know their models: a strong reference would keep both for ever."""


def is_accelerated(model: nn.Module) -> bool:
    """Return whether a transformer has a handle that was not removed."""
    return model in _ENGINES


@contextmanager
def observing(model: nn.Module, observer: Observer) -> Iterator[None]:
    """Tell an observer what an accelerated transformer leaves out, inside a with block.

    Raises:
        ValueError: The transformer is not accelerated.
    """
    engine = _ENGINES[model]() if model in _ENGINES else None
    if engine is None:
        raise ValueError(f"`model` must be accelerated, got {type(model).__name__} as it is")
    engine.counters.observer = observer
    try:
        yield
    finally:
        engine.counters.observer = UNOBSERVED


@dataclass(frozen=True, slots=True)
class Accelerated:
    """One hooked transformer: its engine, and how to unhook it."""

    model: nn.Module
    engine: Engine
    removers: tuple[Callable[[], None], ...]


class Handle:
    """An acceleration in force.

    >>> # with tenuto.accelerate(pipe, tenuto.DiTo()) as handle:
    >>> #     video = pipe("a heart grows over the sea").frames
    >>> #     print(handle.stats())
    """

    def __init__(self, accelerated: list[Accelerated]) -> None:
        """Take the hooked transformers; `accelerate` makes handles."""
        self._accelerated = accelerated
        self._is_removed = False
        for a in accelerated:
            _ENGINES[a.model] = ref(a.engine)

    def stats(self) -> Stats:
        """Return what was done since the start or the last `reset`, over all transformers."""
        return Stats.total([a.engine.counters.stats() for a in self._accelerated])

    @contextmanager
    def observed(self, observer_of: Callable[[Accelerated], Observer]) -> Iterator[None]:
        """Tell observers what every call leaves out, inside a with block; state is forgotten."""
        self.reset()
        for a in self._accelerated:
            a.engine.counters.observer = observer_of(a)
        try:
            yield
        finally:
            for a in self._accelerated:
                a.engine.counters.observer = UNOBSERVED

    def reset(self, num_steps: int | None = None) -> None:
        """Forget all state and set the counts to zero; the next call begins a run.

        Args:
            num_steps: Steps of the coming runs, for a transformer without a scheduler to ask.
        """
        for a in self._accelerated:
            a.engine.reset(num_steps)
            a.engine.counters.reset()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Run the original pipeline, bit for bit, inside a with block; state is forgotten."""
        for a in self._accelerated:
            a.engine.reset()
            a.engine.is_paused = True
        try:
            yield
        finally:
            for a in self._accelerated:
                a.engine.is_paused = False

    def remove(self) -> None:
        """Take all hooks out: the pipeline is the original again, bit for bit. Twice is once."""
        if self._is_removed:
            return
        self._is_removed = True
        for a in self._accelerated:
            for remover in reversed(a.removers):
                remover()
            a.engine.reset()
            a.engine.is_paused = True  # for hooks that another library keeps alive
            _ENGINES.pop(a.model, None)

    def __enter__(self) -> "Handle":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()
