"""Integer functions that define the arithmetic of the hardware to the bit; numpy only."""

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """Import a module of this package on first use, so that no import has to name it."""
    try:
        return import_module(f"tenuto.golden.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"tenuto.golden.{name}":
            raise
        raise AttributeError(f"module 'tenuto.golden' has no attribute {name!r}") from None
