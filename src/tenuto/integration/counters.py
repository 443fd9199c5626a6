"""Add up what an accelerated model did."""

from collections import Counter
from collections.abc import Mapping

from torch import nn

from tenuto.integration.macs import MacTable
from tenuto.integration.observer import UNOBSERVED, Observer, Saving
from tenuto.integration.stats import Stats

Shapes = tuple[object, ...]


class Counters:
    """Running counts of one model; `stats` freezes them.

    Attributes:
        tables: Multiply-accumulates of a dense call, by the shapes of its inputs.
        is_strict: Raise where a run's numbers stop being finite.
        observer: Is told what each call leaves out, for traces; nobody unless one is attached.
    """

    def __init__(self) -> None:
        """Start at zero; the tables outlive `reset`."""
        self.tables: dict[Shapes, MacTable] = {}
        self.is_strict = True
        self.observer: Observer = UNOBSERVED
        self.modules_hooked = 0
        self.reset()

    def reset(self) -> None:
        """Set the counts to zero."""
        self.calls_reduced = 0
        self._dense: Counter[str] = Counter()
        self._saved: list[Saving] = []
        self._extra_macs = 0
        self._macs_done = 0
        self._macs_dense = 0
        self._matching_macs = 0
        self._shift_adds = 0
        self._matching_s = 0.0
        self._state_bytes_peak = 0

    def dense(self, reason: str, places: int = 1) -> None:
        """Count places that ran the original code."""
        self._dense[reason] += places

    def reduced(self, savings: Mapping[nn.Module, tuple[float, float]]) -> None:
        """Count a place that computed less.

        Args:
            savings: For each module, the share of its own multiply-accumulates that was *not* done,
                and the share of its attention core (0 where it has none).
        """
        self.calls_reduced += 1
        self._saved.extend((module, own, core) for module, (own, core) in savings.items())

    def skipped(self, module: nn.Module) -> None:
        """Count a place that computed nothing at all, with everything in it."""
        self.calls_reduced += 1
        self.observer.skipped(module)
        self._saved.extend((part, 1.0, 1.0) for part in module.modules())

    def extra(self, macs: int) -> None:
        """Count multiply-accumulates that only tenuto needs: forecasts, corrections."""
        self._extra_macs += macs
        self.observer.added(macs)

    def matching(self, macs: int, seconds: float) -> None:
        """Count one matching."""
        self._matching_macs += macs
        self._extra_macs += macs
        self._matching_s += seconds

    def predicted(self, shift_adds: int, seconds: float) -> None:
        """Count one prediction of attention scores: additions of shifted operands, no multiply."""
        self._shift_adds += shift_adds
        self._matching_s += seconds

    def call_lost(self) -> None:
        """Drop what was noted of a call that did not come to its end."""
        self._saved, self._extra_macs = [], 0
        self.observer.call_lost()

    def call_done(self, shapes: Shapes, state_bytes: int) -> None:
        """Close the books of one call of the model."""
        table = self.tables[shapes]
        self.observer.call_ends(table, self._saved)
        saved = sum(
            own * table.leaves.get(module, 0) + core * table.cores.get(module, 0)
            for module, own, core in self._saved
        )
        self._macs_dense += table.total
        self._macs_done += table.total - round(saved) + self._extra_macs
        self._saved, self._extra_macs = [], 0
        self._state_bytes_peak = max(self._state_bytes_peak, state_bytes)

    def stats(self) -> Stats:
        """Return the counts so far."""
        return Stats(
            modules_hooked=self.modules_hooked,
            calls_reduced=self.calls_reduced,
            calls_dense=self._dense.total(),
            macs_done=self._macs_done,
            macs_dense=self._macs_dense,
            matching_macs=self._matching_macs,
            matching_s=self._matching_s,
            shift_adds=self._shift_adds,
            state_bytes_peak=self._state_bytes_peak,
            dense_reasons=dict(self._dense),
        )
