"""Which techniques go together on one pipeline: at most one of each kind.

Token reduction decides which blocks and rows are computed, FFN-Reuse which hidden values of the
feed-forwards that run, attention prediction which scores of the attentions that run. Each kind
keeps its own state in the branch memories of one engine, under one step tracker.
"""

from dataclasses import dataclass

from tenuto.algorithms.asymrnr import AsymRnR
from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.orbis import ORBIS
from tenuto.algorithms.reduction import Reduction
from tenuto.algorithms.schedule import EveryNth
from tenuto.algorithms.sito import SiTo
from tenuto.algorithms.tofu import ToFu
from tenuto.algorithms.toma import ToMA
from tenuto.algorithms.tomesd import ToMeSD

TokenReduction = DiTo | ORBIS | ToMeSD | ToFu | SiTo | ToMA | AsymRnR
Technique = TokenReduction | FFNReuse | EagerPrediction

NO_REDUCTION = Reduction(
    schedule=EveryNth(ratio=0.0, interval=1, warmup=1), parts=frozenset(), keys="all"
)
"""What the engine does about tokens where no technique reduces them."""

_HORIZON_STEPS = 128
"""Longer than any cadence; what no step of these reuses, none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """One technique of each kind, None where a kind is not used."""

    token_reduction: TokenReduction | None = None
    ffn_reuse: FFNReuse | None = None
    eager: EagerPrediction | None = None


def composition_of(techniques: tuple[Technique, ...]) -> Composition:
    """Sort techniques by kind.

    Raises:
        TypeError: Something else than a technique is given.
        ValueError: None is given, or two of a kind.
    """
    for technique in techniques:
        if not isinstance(technique, Technique):
            raise TypeError(
                f"`techniques` must be instances such as tenuto.DiTo(ratio=0.5), got {technique!r}"
            )
    reductions = [t for t in techniques if isinstance(t, TokenReduction)]
    reuses = [t for t in techniques if isinstance(t, FFNReuse)]
    eagers = [t for t in techniques if isinstance(t, EagerPrediction)]
    if not techniques or max(len(reductions), len(reuses), len(eagers)) > 1:
        names = [type(technique).__name__ for technique in techniques]
        raise ValueError(
            "`techniques` must be at least one, and at most one token reduction, one FFNReuse and "
            f"one EagerPrediction, got {names}"
        )
    return Composition(
        token_reduction=reductions[0] if reductions else None,
        ffn_reuse=reuses[0] if reuses else None,
        eager=eagers[0] if eagers else None,
    )


def check_predicts(setting: EagerPrediction, reduction: Reduction) -> None:
    """Raise where token reduction computes a part of the rows of an attention to be predicted.

    Raises:
        ValueError: A ratio between 0 and 1 meets a predicted kind of attention.
    """
    is_partial = any(0 < ratio < 1 for ratio in reduction.schedule.ratios())
    shared = set(setting.scope) & reduction.parts
    if setting.is_off or not ((is_partial and shared) or reduction.funnel is not None):
        return
    raise ValueError(
        "`techniques` must not both reduce tokens in an attention and predict its scores: give the "
        "token reduction ratio=1 or a scope without "
        f"{' and '.join(sorted(shared)) or 'attention'}, got {reduction.schedule}"
    )


def check_reuses(setting: FFNReuse, reduction: Reduction, num_blocks: int) -> None:
    """Raise where token reduction leaves FFN-Reuse no sparse iteration in any block.

    A feed-forward runs dense when it has to learn marks, and not at all where its block is
    forecast; marks are learned from all rows only.

    Raises:
        ValueError: No step of the schedule reuses a hidden value.
    """
    blocks = range(num_blocks) if setting.blocks is None else setting.blocks
    if setting.is_off or any(_is_ever_sparse(setting, reduction, b, num_blocks) for b in blocks):
        return
    raise ValueError(
        "`interval` of FFNReuse must reach from one step that computes all tokens to the next step "
        f"that computes any, got interval={setting.interval} with a schedule under which no "
        "hidden value would ever be reused"
    )


def _is_ever_sparse(setting: FFNReuse, reduction: Reduction, block: int, num_blocks: int) -> bool:
    marked_at: int | None = None
    for step in range(_HORIZON_STEPS):
        ratio = reduction.schedule.row(step, num_blocks)[block] if reduction.parts else 0.0
        if ratio == 1:
            continue
        if setting.is_sparse(step, marked_at):
            return True
        if ratio == 0:
            marked_at = step
    return False
