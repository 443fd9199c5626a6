"""The compiler of the loops over tiles and cycles, or a clear word where it is not installed."""

from tenuto.errors import MissingExtraError

try:
    from numba import njit
except ImportError:
    raise MissingExtraError("the cycle models need numba: pip install 'tenuto[hardware]'") from None

__all__ = ["njit"]
