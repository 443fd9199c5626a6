"""Published token-reduction methods, at the same hook sites as ours and through the same engine."""

from tenuto.algorithms.tomesd import ToMeSD

__all__ = ["ToMeSD"]
