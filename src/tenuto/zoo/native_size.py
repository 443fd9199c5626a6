"""How a stock pipeline called without a size arrives at the embedded model's own size.

`WanPipeline.__call__` fixes 480 x 832 x 81 as its defaults, far beyond what the embedded model can
draw, and asks its components for one thing only before it allocates: the autoencoder's scale
factors, by which it divides. So the factors answer. See docs/decisions/0002.
"""

import inspect
from collections.abc import Callable, Mapping


class NativeFactor(int):
    """The scale factor 1, except that the stock default sizes divide into the native ones.

    >>> factor = NativeFactor({480: 64})
    >>> 480 // factor, 96 // factor, 8 * factor
    (64, 96, 8)

    Args:
        native: From a stock default size to the model's own.
    """

    native: dict[int, int]

    def __new__(cls, native: Mapping[int, int]):
        factor = super().__new__(cls, 1)
        factor.native = dict(native)
        return factor

    def __getnewargs__(self) -> tuple:
        return (self.native,)

    def __rfloordiv__(self, size: int) -> int:
        return self.native.get(size, size)


class NativeFrameFactor(NativeFactor):
    """A `NativeFactor` for frames, of which every number is valid.

    The stock check ``num_frames % factor != 1`` can only fail at factor 1, and the pipeline would
    then make 17 frames out of 16, with a warning.

    >>> 16 % NativeFrameFactor({80: 15})
    1
    """

    def __rmod__(self, count: int) -> int:
        return 1


def native_factors(
    call: Callable, frames: int, height: int, width: int
) -> tuple[NativeFactor, NativeFrameFactor]:
    """Make the spatial and the temporal factor for a video pipeline.

    Args:
        call: The pipeline's ``__call__``, whose defaults stand for "no size given".
        frames: The model's own number of frames.
        height: Its own height in pixels.
        width: Its own width in pixels.
    """
    defaults = {name: p.default for name, p in inspect.signature(call).parameters.items()}
    spatial = NativeFactor({defaults["height"]: height, defaults["width"]: width})
    # The pipeline divides the number of frames after the first.
    temporal = NativeFrameFactor({defaults["num_frames"] - 1: frames - 1})
    return spatial, temporal
