"""The values that a search may choose from, and every technique alone: the corners of the space."""

from typing import Literal

from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.orbis import ORBIS
from tenuto.algorithms.schedule import EveryNth
from tenuto.evaluation.calibrate import WARMUP
from tenuto.evaluation.search.setting import Setting

Price = Literal["time", "macs"]
"""What a speed-up is of: seconds of this machine, or multiply-accumulates."""

PARTIAL_RATIOS = (0.5, 0.75)
"""Shares of the tokens that partial steps leave out."""

DENSE_SHARES = (0.75, 0.5, 0.35, 0.3)
"""Of the steps, where forecasts alone are measured; between these the error is interpolated."""

_COLUMNS = tuple(
    FFNReuse(granularity="column", sparsity=sparsity, interval=interval)
    for sparsity in (0.5, 0.8)
    for interval in (2, 4, 8)
)
_ELEMENTS = tuple(
    FFNReuse(granularity="element", sparsity=sparsity, interval=interval, select="change")
    for sparsity in (0.7, 0.95)
    for interval in (2, 4, 8)
)
_EAGER = tuple(EagerPrediction(keep_ratio=keep) for keep in (0.5, 0.25))


def ffn_levels(price: Price) -> tuple[FFNReuse, ...]:
    """Return the settings of FFN-Reuse; elements save operations, but no time."""
    return _COLUMNS if price == "time" else _COLUMNS + _ELEMENTS


def eager_levels(price: Price) -> tuple[EagerPrediction, ...]:
    """Return the settings of attention prediction, which saves no time."""
    return () if price == "time" else _EAGER


def singles(num_steps: int, price: Price) -> list[Setting]:
    """Return every technique alone, but for fitted forecasts, whose steps have to be found."""
    dense = (0.0,) * num_steps
    return [
        Setting(ratios=_every(num_steps, 1.0, 2), predict="linear"),
        Setting(ratios=_every(num_steps, 1.0, 3), predict="linear"),
        *(partial_single(num_steps, ratio) for ratio in PARTIAL_RATIOS),
        Setting(ratios=dense, reduction=ORBIS(ratio=0.5, refresh=3)),
        *(Setting(ratios=dense, ffn_reuse=level) for level in ffn_levels(price)),
        *(Setting(ratios=dense, eager=level) for level in eager_levels(price)),
    ]


def partial_single(num_steps: int, ratio: float) -> Setting:
    """Return partial steps alone: every second step."""
    return Setting(ratios=_every(num_steps, ratio, 2), predict="linear")


def block_probes(num_steps: int, num_blocks: int, price: Price) -> list[Setting]:
    """Return FFN-Reuse and attention prediction in one block each."""
    dense = (0.0,) * num_steps
    found = [Setting(ratios=dense, ffn_reuse=_COLUMNS[-2])]
    found += [Setting(ratios=dense, eager=_EAGER[-1])] if eager_levels(price) else []
    return [setting.in_blocks((b,), (b,)) for setting in found for b in range(num_blocks)]


def is_probe(setting: Setting) -> bool:
    """Say whether a setting was measured for what one block does."""
    inside = [part for part in (setting.ffn_reuse, setting.eager) if part is not None]
    is_alone = len(inside) == 1 and not any(setting.ratios)
    return is_alone and inside[0].blocks is not None and len(inside[0].blocks) == 1


def _every(num_steps: int, ratio: float, interval: int) -> tuple[float, ...]:
    cadence = EveryNth(ratio=ratio, interval=interval, warmup=WARMUP)
    return tuple(cadence.row(step, 1)[0] for step in range(num_steps))
