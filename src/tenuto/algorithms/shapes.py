"""Shapes in annotations: jaxtyping's where it is installed, plain tensors where it is not.

Only tests check shapes, and only they need jaxtyping; the core does without.
"""

from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Int8, UInt8
else:
    try:
        from jaxtyping import Bool, Float, Int, Int8, UInt8
    except ImportError:

        class _Unchecked:
            def __getitem__(self, tensor_and_shape: tuple[type[Tensor], str]) -> Any:
                return tensor_and_shape[0]

        Bool = Float = Int = Int8 = UInt8 = _Unchecked()

__all__ = ["Bool", "Float", "Int", "Int8", "UInt8"]
