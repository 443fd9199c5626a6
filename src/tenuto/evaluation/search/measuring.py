"""Ask for settings, get what was measured of them: turns both into jobs and back."""

import json
from collections.abc import Sequence
from statistics import fmean

from tenuto.evaluation.calibrate import NUM_PROBES
from tenuto.evaluation.calibrate_target import NUM_CHECKED, NUM_SEARCHED
from tenuto.evaluation.search.additive import Measured
from tenuto.evaluation.search.evaluations import Evaluations
from tenuto.evaluation.search.setting import Setting
from tenuto.evaluation.search.worker import (
    Found,
    Job,
    Site,
    describe,
    draw_untouched,
    fit_one,
    measure_one,
    probe_one,
    time_all,
)

NUM_BESIDE_FIT = NUM_PROBES + NUM_SEARCHED + NUM_CHECKED
"""Prompts that forecasts are not fitted to: those of the probes, the search, and the check."""

_NUM_TIMED_RUNS = 3
_TIME = '["time"'
"""How keys of timings begin."""


class Measuring:
    """Measures what is not measured yet; prompts are divided as `Site.num_fitted` says."""

    def __init__(self, site: Site, evaluations: Evaluations) -> None:
        """Measure nothing yet.

        Args:
            site: What every process knows.
            evaluations: What was measured, and the processes.
        """
        self.site, self._evaluations = site, evaluations
        first = site.num_fitted + NUM_PROBES
        self.searched = range(first, first + NUM_SEARCHED)
        self.checked = range(self.searched.stop, self.searched.stop + NUM_CHECKED)

    def model(self) -> Found:
        """Return what the transformer is, see `worker.describe`."""
        self._evaluations.run([Job(key="model", measure=describe, arguments=())])
        return self._evaluations["model"]

    def probes(self) -> list[Found]:
        """Return what forecasts do on a few prompts after a fit to others."""
        fitted = range(self.site.num_fitted)
        self._evaluations.run(Job(key=f"fit {i}", measure=fit_one, arguments=(i,)) for i in fitted)
        probed = range(fitted.stop, self.searched.start)
        self._evaluations.run(
            Job(key=f"probe {i}", measure=probe_one, arguments=(i,)) for i in probed
        )
        return [self._evaluations[f"probe {i}"] for i in probed]

    def settings(self, settings: Sequence[Setting], prompts: range) -> list[Measured]:
        """Draw all prompts under all settings."""
        self._evaluations.run(
            Job(key=f"untouched {i}", measure=draw_untouched, arguments=(i,)) for i in prompts
        )
        self._evaluations.run(
            Job(key=f"{i} {setting.key}", measure=measure_one, arguments=(setting, i))
            for setting in settings
            for i in prompts
        )
        return [self._measured(setting, prompts) for setting in settings]

    def time(self, some: Sequence[Measured]) -> list[float]:
        """Return speed-ups in time, measured in turn; what was timed before is not timed again."""
        timed = self._timed()
        new = tuple(one.setting for one in some if one.setting.key not in timed)
        if new:
            key = json.dumps(["time", *(setting.key for setting in new)])
            arguments = (new, self.searched[0], _NUM_TIMED_RUNS)
            self._evaluations.run([Job(key=key, measure=time_all, arguments=arguments)])
        timed = self._timed()
        return [timed[one.setting.key] for one in some]

    def _timed(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for key in self._evaluations.keys(_TIME):
            found.update(zip(json.loads(key)[1:], self._evaluations[key]["speedup"], strict=True))
        return found

    def _measured(self, setting: Setting, prompts: range) -> Measured:
        found = [self._evaluations[f"{i} {setting.key}"] for i in prompts]
        return Measured(
            setting=setting,
            psnr_db=tuple(one["psnr_db"] for one in found),
            speed=fmean(one["macs_ratio"] for one in found),
        )
