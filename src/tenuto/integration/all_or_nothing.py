"""Hook a model wholly or not at all, whatever interrupts it (Ctrl-C, no memory)."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

_HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


@contextmanager
def all_or_nothing(model: nn.Module) -> Iterator[None]:
    """Put forwards and forward hooks back as they were where the with block raises."""
    before = [
        (module, module.__dict__.get("forward"), [dict(getattr(module, n)) for n in _HOOKS])
        for module in model.modules()
    ]
    try:
        yield
    except BaseException:
        for module, forward, hooks in before:
            if forward is None:
                module.__dict__.pop("forward", None)
            else:
                module.forward = forward
            for name, old in zip(_HOOKS, hooks, strict=True):
                present = getattr(module, name)
                present.clear()
                present.update(old)
        raise
