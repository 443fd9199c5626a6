"""Which techniques a scaled trace assumes. Neutral fields: everything is computed."""

from dataclasses import dataclass
from typing import Literal

from tenuto.traces.masks import Style


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A composition of techniques. The sparsity itself is the workload's.

    Attributes:
        token_scale: Times the workload's token ratio; 0 reduces no token.
        is_matched_by_datm: Partners by facility location in windows, else by strided bipartite
            matching over all tokens, as token reduction before ORBIS.
        matches_every_step: Partners are found anew at each step for the next one (ORBIS), else only
            where all tokens are computed, and kept (DiTo).
        refresh: Every this many steps all tokens are computed.
        reuses_ffn: FFN-Reuse at the workload's sparsity and interval.
        predicts_scores: Eager prediction at the workload's keep ratio, where that is below 1.
        one_hot_ratio: Query rows that prediction finds decided, and so skips.
        forecast_interval: 1 of this many steps is computed, the others are forecast; 1: off.
        history_orders: Stored outputs of each module that a forecast weighs.
        style: How live elements lie in the masks.
    """

    token_scale: float = 0.0
    is_matched_by_datm: bool = True
    matches_every_step: bool = False
    refresh: int = 5
    reuses_ffn: bool = False
    predicts_scores: bool = False
    one_hot_ratio: float = 0.1
    forecast_interval: int = 1
    history_orders: int = 3
    style: Style = "clustered"

    @property
    def techniques(self) -> tuple[str, ...]:
        """What is on, as a manifest says it."""
        named = {
            "token reduction, output-guided": self.token_scale and self.is_matched_by_datm,
            "token reduction, input-guided": self.token_scale and not self.is_matched_by_datm,
            "FFN-Reuse": self.reuses_ffn,
            "eager prediction": self.predicts_scores,
            "forecasts": self.forecast_interval > 1,
        }
        return tuple(name for name, is_on in named.items() if is_on)

    @property
    def restoration(self) -> Literal["none", "copy", "forecast"]:
        """How rows that are not computed get their values."""
        if self.forecast_interval > 1:
            return "forecast"
        return "copy" if self.token_scale else "none"


_INPUT_GUIDED = 0.45
"""Output guidance doubles the reduction of AsymRnR at equal quality: ORBIS's abstract ("about 2x");
AsymRnR's own schedules remove 19 to 29 % of attention work, 0.45 of our ratio 0.5 removes 24 %."""

RECIPES = {
    "dense": Recipe(),
    "input-guided": Recipe(
        token_scale=_INPUT_GUIDED, is_matched_by_datm=False, matches_every_step=True, refresh=10**9
    ),
    "output-guided": Recipe(token_scale=1.0, is_matched_by_datm=False, matches_every_step=True),
    "orbis": Recipe(token_scale=1.0, matches_every_step=True),
    "ffn-reuse": Recipe(reuses_ffn=True),
    "eager": Recipe(predicts_scores=True),
    "exion": Recipe(reuses_ffn=True, predicts_scores=True),
    "composed": Recipe(token_scale=1.0, reuses_ffn=True, predicts_scores=True),
    "forecast": Recipe(token_scale=1.0, reuses_ffn=True, predicts_scores=True, forecast_interval=2),
}
