"""Every composition, as the additive model sees it -> the few that are worth measuring next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tenuto.algorithms.mode_search import ModeSchedule
from tenuto.algorithms.subset_search import best_subsets
from tenuto.evaluation.search.additive import Additive, Inside, Measured
from tenuto.evaluation.search.choose import Target, best_of
from tenuto.evaluation.search.setting import Setting, sparse_iterations


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A setting and what its steps should cost.

    Attributes:
        setting: Not measured yet, perhaps.
        foreseen: Sum of the costs of its steps.
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
    ffns = [None, *_in_best_blocks(model, "ffn")]
    eagers = [None, *_in_best_blocks(model, "eager")]
    found = []
    for schedule in schedules:
        is_partial = any(0 < ratio < 1 for ratio in schedule.ratios)
        for ffn in ffns:
            if ffn is not None and not sparse_iterations(ffn, schedule.ratios):  # type: ignore[arg-type]
                continue
            for eager in eagers[:1] if is_partial else eagers:
                setting = Setting(ratios=schedule.ratios, ffn_reuse=ffn, eager=eager)  # type: ignore[arg-type]
                found.append(Candidate(setting=setting, foreseen=schedule.error))
    return [candidate for candidate in found if candidate.setting.kinds]


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
        Best first; kinds that were never measured together need not be foretold to win.
    """
    tried = {one.setting for one in measured}
    known = {one.setting.kinds for one in measured}
    best = next(iter(best_of(measured, target)), None)
    beaten = float("-inf") if best is None else target.rank(best.speed, best.error)
    found: dict[frozenset[str], tuple[float, Candidate]] = {}
    for candidate in candidates:
        setting = candidate.setting
        if setting in tried:
            continue
        speed, error = model.speed(setting), model.error(setting, candidate.foreseen)
        if not target.is_met(speed, error):
            continue
        rank = target.rank(speed, error)
        if rank <= beaten and setting.kinds in known:
            continue
        if setting.kinds not in found or rank > found[setting.kinds][0]:
            found[setting.kinds] = rank, candidate
    return [candidate for _, candidate in sorted(found.values(), key=lambda pair: -pair[0])]


def _in_best_blocks(model: Additive, kind: str) -> Iterator[Inside]:
    """Yield each technique of a kind in all sets of blocks that are worth it."""
    if kind not in model.shares:
        return
    shares = model.shares[kind]
    subsets = best_subsets(shares.saving, shares.error)
    for technique in model.parts:
        if (kind == "ffn") != hasattr(technique, "sparsity"):
            continue
        for blocks in subsets[1:]:
            is_all = len(blocks) == len(shares.saving)
            yield replace(technique, blocks=None if is_all else blocks)
