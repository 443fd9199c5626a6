"""Published token-reduction methods, at the same hook sites as ours and through the same engine."""

from tenuto.algorithms.asymrnr import AsymRnR, ratios_from_tiers
from tenuto.algorithms.cache_styles import clusca_style, duca_style, resca_style, toca_style
from tenuto.algorithms.sito import SiTo
from tenuto.algorithms.tofu import ToFu
from tenuto.algorithms.toma import ToMA
from tenuto.algorithms.tomesd import ToMeSD

__all__ = [
    "AsymRnR",
    "SiTo",
    "ToFu",
    "ToMA",
    "ToMeSD",
    "clusca_style",
    "duca_style",
    "ratios_from_tiers",
    "resca_style",
    "toca_style",
]
