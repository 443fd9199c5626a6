"""Other libraries' caches on the modules that we reduce."""

from collections.abc import Mapping

from torch import nn

ANSWERED = "answered by another library's cache"
"""Reason of a place whose inner forward was never run."""


def barred_blocks(half_attentions: Mapping[int, nn.Module]) -> dict[int, str]:
    """Return the blocks that another library's cache forces to run dense, and why.

    Such an attention leaves its last step to a projection beside it: what it puts out on a reduced
    step are not all rows, so it must not be replayed on another one.

    Args:
        half_attentions: By block, attentions without an output projection of their own.
    """
    reason = "attention without an output projection, cached by another library"
    return {index: reason for index, module in half_attentions.items() if is_cached(module)}


def is_cached(module: nn.Module) -> bool:
    """Return whether a hook that diffusers brings (TaylorSeer, PAB) is on a module itself."""
    registry = module.__dict__.get("_diffusers_hook")
    hooks = () if registry is None else registry.hooks.values()
    return any(type(hook).__module__.partition(".")[0] == "diffusers" for hook in hooks)
