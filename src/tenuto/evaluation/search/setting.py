"""One point of the search: which steps are dense, partial or predicted, and what runs in them."""

import json
from dataclasses import dataclass, replace
from typing import Literal

from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.orbis import ORBIS
from tenuto.integration.composed import TechniqueSettings, settings_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One composition.

    Attributes:
        ratios: Of each step, the share of the tokens that `DiTo` does not compute; all 0 without.
        reduction: ORBIS instead, which has its own refresh steps.
        ffn_reuse: At the steps that are computed; None leaves feed-forwards whole.
        eager: At the steps that are computed; None leaves attentions whole.
        predict: Forecast of whole steps; "fitted" becomes "linear" where there are none, so that
            what does the same is equal.
    """

    ratios: tuple[float, ...]
    reduction: ORBIS | None = None
    ffn_reuse: FFNReuse | None = None
    eager: EagerPrediction | None = None
    predict: Literal["fitted", "linear"] = "fitted"

    def __post_init__(self) -> None:
        if 1.0 not in self.ratios:
            object.__setattr__(self, "predict", "linear")

    def settings(self) -> TechniqueSettings:
        """Return the techniques as a composition's file holds them, the steps left out."""
        others = (self.reduction, self.ffn_reuse, self.eager)
        settings = settings_of(*(technique for technique in others if technique is not None))
        if any(self.ratios):
            settings |= settings_of(DiTo())
            settings["dito"]["predict"] = self.predict
        return settings

    @property
    def is_fitted(self) -> bool:
        """It needs forecast weights."""
        return self.predict == "fitted"

    @property
    def key(self) -> str:
        """The setting as one line, the same for equal settings."""
        return f"{json.dumps(self.settings(), sort_keys=True)} {drawn(self.ratios)}"

    @property
    def kinds(self) -> frozenset[str]:
        """Which kinds of technique it uses."""
        has = {
            "predicted": 1.0 in self.ratios,
            "partial": any(0 < ratio < 1 for ratio in self.ratios) or self.reduction is not None,
            "ffn": self.ffn_reuse is not None,
            "eager": self.eager is not None,
        }
        return frozenset(kind for kind, is_used in has.items() if is_used)

    def __str__(self) -> str:
        """Return what a reader of the front wants to know."""
        return " + ".join([*self._steps(), *self._inside()]) or "untouched"

    def _steps(self) -> list[str]:
        num_predicted = self.ratios.count(1.0)
        partial = [ratio for ratio in self.ratios if 0 < ratio < 1]
        found = [f"{self.predict} x{num_predicted}"] if num_predicted else []
        found += [f"partial {max(partial):g} x{len(partial)}"] if partial else []
        if self.reduction is not None:
            found.append(f"ORBIS {self.reduction.ratio:g} every {self.reduction.refresh}")
        return found

    def _inside(self) -> list[str]:
        found = []
        if (ffn := self.ffn_reuse) is not None:
            where = _blocks(ffn.blocks)
            found.append(f"FFN {ffn.granularity} {ffn.sparsity:g} every {ffn.interval}{where}")
        if (eager := self.eager) is not None:
            found.append(f"eager {eager.keep_ratio:g}{_blocks(eager.blocks)}")
        return found

    def in_blocks(self, ffn: tuple[int, ...] | None, eager: tuple[int, ...] | None) -> "Setting":
        """Return the setting with FFN-Reuse and attention prediction in some blocks only."""
        return replace(
            self,
            ffn_reuse=None if self.ffn_reuse is None else replace(self.ffn_reuse, blocks=ffn),
            eager=None if self.eager is None else replace(self.eager, blocks=eager),
        )


def drawn(ratios: tuple[float, ...]) -> str:
    """Return a schedule as a line: dense ``#``, predicted ``.``, else the tenths not computed.

    >>> drawn((0.0, 1.0, 0.5, 0.75))
    '#.57'
    """
    return "".join(
        "#" if ratio == 0 else "." if ratio == 1 else str(int(ratio * 10)) for ratio in ratios
    )


def sparse_iterations(setting: FFNReuse, ratios: tuple[float, ...]) -> list[int]:
    """Return the steps of a run at which FFN-Reuse saves something.

    >>> sparse_iterations(FFNReuse(interval=3, warmup=1), (0.0, 0.0, 1.0, 0.0, 0.0))
    [1, 4]
    """
    marked_at, found = None, []
    for step, ratio in enumerate(ratios):
        if ratio == 1:
            continue
        if setting.is_sparse(step, marked_at):
            found.append(step)
        elif ratio == 0 and setting.marks_at(step, len(ratios)):
            marked_at = step
    return found


def _blocks(blocks: tuple[int, ...] | None) -> str:
    return "" if blocks is None else f" in blocks {'+'.join(map(str, blocks))}"
