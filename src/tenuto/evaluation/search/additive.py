"""Foretell a composition from what its parts did alone: errors add up, and so do savings.

The error of a setting is ``10 ** (-PSNR / 10)``, PSNR in decibels and the mean over prompts. For
each set of kinds of techniques one factor corrects the sum; it is learned from every composition
of these kinds that was measured, so the model is wrong only until it was tried.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import exp, log
from statistics import fmean, linear_regression

from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.evaluation.search.levels import is_probe
from tenuto.evaluation.search.setting import Setting, sparse_iterations

Inside = FFNReuse | EagerPrediction
"""Techniques that work inside the steps that are computed."""

_LEAST_ERROR = 1e-10
"""100 dB, the most that PSNR can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A setting and how it did.

    Attributes:
        setting: What was measured.
        psnr_db: One a prompt.
        speed: Multiply-accumulates of the untouched run over its own.
    """

    setting: Setting
    psnr_db: tuple[float, ...]
    speed: float

    @property
    def error(self) -> float:
        """The mean PSNR as an error."""
        return 10 ** (-fmean(self.psnr_db) / 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What FFN-Reuse or attention prediction did alone, in all blocks.

    Attributes:
        error: Of the sample.
        saving: Share of the run's operations.
    """

    error: float
    saving: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How much of a part each block has, by its number; both sum to 1."""

    error: tuple[float, ...]
    saving: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Additive:
    """What was learned of the parts.

    Attributes:
        num_steps: Of a run.
        prices: Of a step, by its ratio, over that of a dense one.
        line: Slope and intercept of log error over log foreseen error, of forecasts alone.
        parts: Techniques inside steps alone, by setting.
        shares: Of FFN-Reuse ("ffn") and attention prediction ("eager").
        factors: Measured over added error, by kinds.
    """

    num_steps: int
    prices: Mapping[float, float]
    line: tuple[float, float]
    parts: Mapping[Inside, Part]
    shares: Mapping[str, Shares]
    factors: dict[frozenset[str], float] = field(default_factory=dict)

    def speed(self, setting: Setting) -> float:
        """Return the speed-up in operations that a setting should have."""
        steps = sum(self.prices[ratio] for ratio in setting.ratios)
        for kind, technique in _inside(setting):
            share = _in_blocks(self.shares[kind].saving, technique.blocks)
            saving = self.parts[_anywhere(technique)].saving * share
            steps -= saving * self.num_steps * self._exposure(technique, setting.ratios)
        return self.num_steps / max(steps, 1e-6)

    def error(self, setting: Setting, foreseen: float) -> float:
        """Return the error that a setting should have.

        Args:
            setting: In the form of the search: ORBIS and linear forecasts are corners only.
            foreseen: Sum of the costs of its steps, see `best_schedules`; 0 where all are dense.
        """
        slope, intercept = self.line
        total = exp(intercept + slope * log(foreseen)) if foreseen > 0 else 0.0
        for kind, technique in _inside(setting):
            share = _in_blocks(self.shares[kind].error, technique.blocks)
            total += self.parts[_anywhere(technique)].error * share
        return max(_LEAST_ERROR, total * self.factors.get(setting.kinds, 1.0))

    def learn(self, foreseen: Mapping[Setting, float], measured: Iterable[Measured]) -> None:
        """Set the factors by everything that was measured.

        Args:
            foreseen: Costs of the steps of settings that were proposed.
            measured: Settings; those that were not proposed are passed over.
        """
        self.factors.clear()
        ratios: dict[frozenset[str], list[float]] = {}
        for one in measured:
            if one.setting in foreseen and len(one.setting.kinds) > 1:
                added = self.error(one.setting, foreseen[one.setting])
                ratios.setdefault(one.setting.kinds, []).append(log(one.error / added))
        self.factors.update({kinds: exp(fmean(logs)) for kinds, logs in ratios.items()})

    def _exposure(self, technique: Inside, ratios: tuple[float, ...]) -> float:
        """Return at how many steps a technique saves, over at how many it does alone."""
        if isinstance(technique, EagerPrediction):
            return ratios.count(0.0) / self.num_steps
        alone = num_iterations(_anywhere(technique), (0.0,) * self.num_steps)
        return num_iterations(_anywhere(technique), ratios) / alone


def shares_of(probes: list[Measured], num_blocks: int) -> dict[str, Shares]:
    """Return each block's part of error and saving, from runs with one block each."""
    found = {}
    for kind in ("ffn", "eager"):
        of_kind = [one for one in probes if is_probe(one.setting) and kind in one.setting.kinds]
        if len(of_kind) != num_blocks:
            continue
        errors = [one.error for one in of_kind]
        savings = [max(0.0, 1 - 1 / one.speed) for one in of_kind]
        found[kind] = Shares(
            error=tuple(error / sum(errors) for error in errors),
            saving=tuple(saving / (sum(savings) or 1.0) for saving in savings),
        )
    return found


def part_of(one: Measured) -> Part:
    """Return what a single technique inside steps did."""
    return Part(error=one.error, saving=max(0.0, 1 - 1 / one.speed))


def price_of(one: Measured, ratio: float) -> float:
    """Return the price of a step of a ratio, from a run whose other steps were dense."""
    ratios = one.setting.ratios
    return (len(ratios) / one.speed - ratios.count(0.0)) / ratios.count(ratio)


def line_through(foreseen: list[float], measured: list[float]) -> tuple[float, float]:
    """Return slope and intercept of the logarithms; errors of one setting alone are scaled."""
    logs = [log(value) for value in foreseen], [log(value) for value in measured]
    if len(set(logs[0])) < 2:
        return 1.0, logs[1][0] - logs[0][0]
    slope, intercept = linear_regression(*logs)
    return slope, intercept


def _inside(setting: Setting) -> list[tuple[str, Inside]]:
    """Return the techniques inside steps, by kind."""
    found = [("ffn", setting.ffn_reuse), ("eager", setting.eager)]
    return [(kind, technique) for kind, technique in found if technique is not None]


def _in_blocks(shares: tuple[float, ...], blocks: tuple[int, ...] | None) -> float:
    return sum(shares if blocks is None else (shares[block] for block in blocks))


@cache
def num_iterations(technique: FFNReuse, ratios: tuple[float, ...]) -> int:
    """Return at how many steps FFN-Reuse saves something."""
    return len(sparse_iterations(technique, ratios))


@cache
def _anywhere(technique: Inside) -> Inside:
    return replace(technique, blocks=None)
