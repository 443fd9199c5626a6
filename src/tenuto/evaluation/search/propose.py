"""Every composition, as the additive model sees it -> the few that are worth measuring next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.algorithms.mode_search import ModeSchedule
from tenuto.algorithms.subset_search import best_subsets
from tenuto.evaluation.search.additive import Additive, Measured, Shares, num_iterations
from tenuto.evaluation.search.choose import Target, best_of
from tenuto.evaluation.search.setting import Setting

_Technique = TypeVar("_Technique", FFNReuse, EagerPrediction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A composition that could be measured.

    Attributes:
        setting: The composition.
        foreseen: Sum of the errors of its steps, see `best_schedules`.
    """

    setting: Setting
    foreseen: float


def candidates(model: Additive, schedules: Sequence[ModeSchedule]) -> list[Candidate]:
    """Return every composition: all schedules, with every technique inside that can pay.

    Which blocks a technique works in is a knapsack: only sets of blocks that no other set beats in
    both saving and error are there.

    Args:
        model: Knows the techniques inside steps, and what each block has of them.
        schedules: Dense, partial and predicted steps.
    """
    reuses = [part for part in model.parts if isinstance(part, FFNReuse)]
    eagers = [part for part in model.parts if isinstance(part, EagerPrediction)]
    ffns = [None, *_in_best_blocks(reuses, model.shares.get("ffn"))]
    predicted = [None, *_in_best_blocks(eagers, model.shares.get("eager"))]
    return [
        Candidate(
            setting=Setting(ratios=schedule.ratios, ffn_reuse=ffn, eager=eager),
            foreseen=schedule.error,
        )
        for schedule in schedules
        for ffn in ffns
        if ffn is None or num_iterations(ffn, schedule.ratios) > 0
        # Both decide on the rows of an attention.
        for eager in (predicted[:1] if _is_partial(schedule) else predicted)
        if any(schedule.ratios) or ffn is not None or eager is not None
    ]


def promising(
    model: Additive,
    candidates: Sequence[Candidate],
    measured: Sequence[Measured],
    target: Target,
) -> list[Candidate]:
    """Return what to measure next for a target: of each set of kinds the best, if it may win.

    Args:
        model: Foretells.
        candidates: All of them.
        measured: So far.
        target: What is wanted.

    Returns:
        Best first. Kinds with which the target was not met yet need not be foretold to win.
    """
    good = best_of(measured, target)
    tried, known = {one.setting for one in measured}, {one.setting.kinds for one in good}
    beaten = max((target.rank(one.speed, one.error) for one in good), default=float("-inf"))
    found: dict[frozenset[str], tuple[float, Candidate]] = {}
    for candidate in candidates:
        speed = model.speed(candidate.setting)
        error = model.error(candidate.setting, candidate.foreseen)
        rank, kinds = target.rank(speed, error), candidate.setting.kinds
        can_win = rank > beaten or kinds not in known
        is_better = kinds not in found or rank > found[kinds][0]
        is_new = candidate.setting not in tried
        if target.is_met(speed, error) and can_win and is_better and is_new:
            found[kinds] = rank, candidate
    return [candidate for _, candidate in sorted(found.values(), key=lambda pair: -pair[0])]


def _in_best_blocks(techniques: Sequence[_Technique], shares: Shares | None) -> list[_Technique]:
    """Return each technique in every set of blocks that is worth it."""
    if shares is None:
        return []
    every = tuple(range(len(shares.saving)))
    subsets = best_subsets(shares.saving, shares.error)[1:]
    return [
        replace(technique, blocks=None if blocks == every else blocks)
        for technique in techniques
        for blocks in subsets
    ]


def _is_partial(schedule: ModeSchedule) -> bool:
    return any(0 < ratio < 1 for ratio in schedule.ratios)
