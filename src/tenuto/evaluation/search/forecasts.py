"""What dense runs said of forecasts of whole steps: the error of each, and the schedules it gives.

Measured as in `tenuto.evaluation.calibrate` (method forecast), one prompt a job.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from tenuto.algorithms.forecast_fit import sources_of
from tenuto.algorithms.mode_search import DENSE_UNITS, Mode, ModeSchedule, best_schedules
from tenuto.algorithms.schedule_search import best_dense_steps, least_dense_steps
from tenuto.evaluation.calibrate import TAPS, WARMUP
from tenuto.evaluation.forecast_probes import Pattern, patterns


class Forecasts:
    """Error of forecasting each step from each pattern of dense steps, as the sample shows it."""

    def __init__(self, num_steps: int, max_gap: int, probes: Sequence[dict[str, Any]]) -> None:
        """Take the mean of what `probe_one` found on a few prompts.

        Args:
            num_steps: Of a run.
            max_gap: Most steps from one dense step to the next.
            probes: One or more.
        """
        self.num_steps, self.max_gap = num_steps, max_gap
        means = [fmean(costs) for costs in zip(*(p["costs"] for p in probes), strict=True)]
        growth = [fmean(at) for at in zip(*(p["growth"] for p in probes), strict=True)]
        wanted = patterns(num_steps, TAPS, max_gap, WARMUP)
        self._errors: dict[Pattern, float] = {
            (step, known): growth[step] * mean
            for (step, known), mean in zip(wanted, means, strict=True)
        }

    def error(self, step: int, known: tuple[int, ...]) -> float:
        """Return the squared error that forecasting a step leaves in the sample."""
        return self._errors[step, known]

    def foreseen(self, ratios: tuple[float, ...]) -> float:
        """Return the sum of the errors of a schedule, with partial steps taken for forecast."""
        is_dense = [ratio == 0 for ratio in ratios]
        return sum(
            self.error(step, tuple(sources_of(is_dense, step, TAPS)))
            for step in range(self.num_steps)
            if not is_dense[step]
        )

    def alone(self, share: float) -> tuple[float, ...]:
        """Return the best schedule with a share of the steps dense and all others forecast."""
        least = least_dense_steps(self.num_steps, self.max_gap, WARMUP)
        num_dense = min(self.num_steps - 1, max(least, round(share * self.num_steps)))
        is_dense = best_dense_steps(
            self.num_steps, num_dense, self.error, taps=TAPS, max_gap=self.max_gap, warmup=WARMUP
        )
        return tuple(0.0 if dense else 1.0 for dense in is_dense)

    def schedules(
        self, prices: dict[float, float], errors: dict[float, float]
    ) -> list[ModeSchedule]:
        """Return the best schedules of every price, one for each half of a dense step.

        Args:
            prices: Of a step of each ratio but 0, over that of a dense one.
            errors: Of a step of each ratio, over that of forecasting it whole.
        """
        modes = [
            Mode(ratio=ratio, units=min(DENSE_UNITS, max(1, round(price * DENSE_UNITS))),
                 error=errors[ratio])
            for ratio, price in sorted(prices.items())
        ]  # fmt: skip
        kept: dict[tuple[int, bool], ModeSchedule] = {}
        for some in (modes, [mode for mode in modes if mode.ratio == 1]):
            found = best_schedules(
                self.num_steps, some, self.error, taps=TAPS, max_gap=self.max_gap, warmup=WARMUP
            )
            for schedule in found:  # the dearest of a half step has the least error in it
                kept[2 * schedule.units // DENSE_UNITS, some is modes] = schedule
        return list({schedule.ratios: schedule for schedule in kept.values()}.values())
