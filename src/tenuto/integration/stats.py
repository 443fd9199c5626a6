"""What an accelerated model did: operations, matching, memory, and what ran dense and why."""

from collections import Counter
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts since `accelerate` or the last `Handle.reset`, over all calls of the model.

    Attributes:
        modules_hooked: Attention, feed-forward and block places that are watched.
        calls_reduced: Calls of them that computed fewer tokens or hidden values, or none.
        calls_dense: Calls that ran the original code.
        macs_done: Multiply-accumulates of the whole model as it ran; matching, forecasts,
            corrections and partial sums included. FFN-Reuse by element counts what an
            element-sparse machine does: its time is not saved on this one.
        macs_dense: Multiply-accumulates of the same calls without tenuto.
        matching_macs: The part of `macs_done` that is matching.
        matching_s: Seconds in matching and in attention prediction by the host's clock.
        shift_adds: Additions of shifted operands in attention prediction; they need no multiplier
            and are not in `macs_done`.
        state_bytes_peak: Most bytes held between module calls: histories, pairs, held keys,
            marks.
        dense_reasons: How many of `calls_dense` ran dense for which reason.
    """

    modules_hooked: int
    calls_reduced: int
    calls_dense: int
    macs_done: int
    macs_dense: int
    matching_macs: int
    matching_s: float
    state_bytes_peak: int
    dense_reasons: dict[str, int]
    shift_adds: int = 0

    @property
    def macs_ratio(self) -> float:
        """Dense over done: the speed-up if time were operations; 1.0 before any call."""
        return self.macs_dense / self.macs_done if self.macs_done else 1.0

    def to_dict(self) -> dict[str, object]:
        """Return the counts as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """Return a table of the counts."""
        prediction = [("prediction", f"{self.shift_adds / 1e9:,.2f} G shift-adds")]
        rows = [
            ("modules hooked", f"{self.modules_hooked:,}"),
            ("calls reduced", f"{self.calls_reduced:,}"),
            ("calls dense", f"{self.calls_dense:,}"),
            *((f"  {reason}", f"{n:,}") for reason, n in sorted(self.dense_reasons.items())),
            ("MACs done", f"{self.macs_done / 1e9:,.2f} G"),
            ("MACs dense", f"{self.macs_dense / 1e9:,.2f} G"),
            ("MACs dense / done", f"{self.macs_ratio:.2f}x"),
            ("matching", f"{self.matching_macs / 1e9:,.3f} GMAC, {self.matching_s:.3f} s"),
            *(prediction if self.shift_adds else []),
            ("state, peak", f"{self.state_bytes_peak / 2**20:,.2f} MiB"),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    @classmethod
    def total(cls, parts: "list[Stats]") -> "Stats":
        """Add up the counts of several transformers of one pipeline."""
        reasons: Counter[str] = Counter()
        for part in parts:
            reasons.update(part.dense_reasons)
        sums = {
            f.name: sum(getattr(part, f.name) for part in parts)
            for f in fields(cls)
            if f.name != "dense_reasons"
        }
        return cls(**sums, dense_reasons=dict(reasons))
