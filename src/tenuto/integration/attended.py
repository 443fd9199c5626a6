"""Take the attention product out of an attention whose own code runs."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tenuto.errors import UnsupportedModelError

Attend = Callable[[Callable[..., Tensor], dict[str, Any]], Tensor]
"""Called with torch's attention product and its arguments by name; returns the output."""


class Attended(TorchFunctionMode):
    """Hand every scaled_dot_product_attention inside the mode to a function."""

    _NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self._attend = attend

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        return self._attend(func, {**dict(zip(self._NAMES, args, strict=False)), **kwargs})


def check_attended(attention: nn.Module, num_products: int) -> None:
    """Raise UnsupportedModelError where an attention ran without torch's own product."""
    if num_products == 0:
        raise UnsupportedModelError(
            f"{type(attention).__name__} must call torch's scaled_dot_product_attention "
            "(set the attention backend to 'native')"
        )
