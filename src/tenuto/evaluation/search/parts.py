"""Measure every technique alone, blocks one by one, and forecasts; learn the additive model."""

from dataclasses import dataclass
from math import exp, log
from statistics import fmean

from tenuto.algorithms.mode_search import ModeSchedule
from tenuto.evaluation.search.additive import (
    Additive,
    Inside,
    Measured,
    Part,
    line_through,
    part_of,
    price_of,
    shares_of,
)
from tenuto.evaluation.search.forecasts import Forecasts
from tenuto.evaluation.search.levels import (
    DENSE_SHARES,
    PARTIAL_RATIOS,
    Price,
    block_probes,
    partial_single,
    singles,
)
from tenuto.evaluation.search.measuring import Measuring
from tenuto.evaluation.search.setting import Setting

NUM_BLOCK_PROMPTS = 2
"""Of the prompts of the search, those on which single blocks are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a search knows before it composes anything.

    Attributes:
        corners: Every technique alone.
        model: Foretells compositions.
        schedules: Dense, partial and predicted steps worth having.
    """

    corners: list[Measured]
    model: Additive
    schedules: list[ModeSchedule]


def measure_parts(measuring: Measuring, price: Price) -> Parts:
    """Measure what the additive model needs.

    Args:
        measuring: Measures.
        price: Decides which techniques are in the space.
    """
    site = measuring.site
    num_blocks = measuring.model()["num_blocks"]
    forecasts = Forecasts(site.num_steps, site.max_gap, measuring.probes())
    alone = sorted({forecasts.alone(share) for share in DENSE_SHARES})
    fitted = measuring.settings([Setting(ratios=r) for r in alone], measuring.searched)
    others = measuring.settings(singles(site.num_steps, price), measuring.searched)
    some = measuring.searched[:NUM_BLOCK_PROMPTS]
    probes = measuring.settings(block_probes(site.num_steps, num_blocks, price), some)
    partial = {
        ratio: one
        for ratio in PARTIAL_RATIOS
        for one in others
        if one.setting == partial_single(site.num_steps, ratio)
    }
    line = line_through(
        [forecasts.foreseen(one.setting.ratios) for one in fitted], [one.error for one in fitted]
    )
    prices = {1.0: fmean(price_of(one, 1.0) for one in fitted)}
    prices |= {ratio: price_of(one, ratio) for ratio, one in partial.items()}
    errors = {1.0: 1.0}
    errors |= {ratio: _partial_error(forecasts, line, one) for ratio, one in partial.items()}
    model = Additive(
        num_steps=site.num_steps,
        prices={0.0: 1.0, **prices},
        line=line,
        parts=_inside(others),
        shares=shares_of(probes, num_blocks),
    )
    return Parts(
        corners=[*fitted, *others], model=model, schedules=forecasts.schedules(prices, errors)
    )


def _inside(singles: list[Measured]) -> dict[Inside, Part]:
    """Return what techniques inside steps did, by technique."""
    found = ((one.setting.ffn_reuse or one.setting.eager, one) for one in singles)
    return {technique: part_of(one) for technique, one in found if technique is not None}


def _partial_error(forecasts: Forecasts, line: tuple[float, float], one: Measured) -> float:
    """Return the error of partial steps over that of forecasting the same steps whole."""
    slope, intercept = line
    return exp((log(one.error) - intercept) / slope) / forecasts.foreseen(one.setting.ratios)
