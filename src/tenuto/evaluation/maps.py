"""What a model's blocks do over the steps of one dense run, for the report's maps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tenuto.algorithms.matching import nearest_destinations
from tenuto.evaluation.generation import Workload
from tenuto.integration.recorder import Sight, recording


@torch.no_grad()
def pair_match_ratios(workload: Workload, prompt: str, index: int) -> Tensor:
    """Return the (steps, steps) Pair Match Ratio of one run, mean over blocks and branches.

    Source: DiTo (arXiv 2605.22011); with one destination a window, held fixed.
    """
    nearest: dict[tuple[int, int], list[Tensor]] = {}

    def see(sight: Sight) -> None:
        if sight.part == "attn":
            place = (sight.moment.branch, sight.block_index)
            nearest.setdefault(place, []).append(_partners(sight))

    with recording(workload.pipe, see):
        workload.generate(prompt, index)
    return _ratios(list(nearest.values()))


@torch.no_grad()
def block_maps(workload: Workload, prompt: str) -> dict[str, dict[str, list[list[float]]]]:
    """Return the maps of one dense run on a caption; their form is fixed in docs/results.md.

    Pair Match Ratios; cosine of each block's attention and feed-forward output with that of the
    step before; relative error of a linear forecast of them.
    """
    nearest: dict[tuple[int, int], list[Tensor]] = {}
    before: dict[tuple[int, str], list[Tensor]] = {}
    similarity: dict[str, dict[int, list[float]]] = {"attn": {}, "ffn": {}}
    error: dict[str, dict[int, list[float]]] = {"attn": {}, "ffn": {}}

    def see(sight: Sight) -> None:
        if sight.part == "stack" or sight.moment.branch != 0:
            return
        if sight.part == "attn":
            nearest.setdefault((0, sight.block_index), []).append(_partners(sight))
        known = before.setdefault((sight.block_index, sight.part), [])
        now = sight.tokens.float()
        cosine, missed = _likeness(now, known)
        similarity[sight.part].setdefault(sight.block_index, []).append(cosine)
        error[sight.part].setdefault(sight.block_index, []).append(missed)
        known[:] = [now, *known][:2]

    with recording(workload.pipe, see):
        workload.generate(prompt, 0)
    words = {"attn": "attention outputs", "ffn": "feed-forward outputs"}
    return {
        "pmr": {"attention outputs": _ratios(list(nearest.values())).tolist()},
        "similarity": {words[part]: _rows(rows) for part, rows in similarity.items() if rows},
        "forecast_error": {words[part]: _rows(rows) for part, rows in error.items() if rows},
    }


def _partners(sight: Sight) -> Tensor:
    window = (2,) * len(sight.grid)
    return nearest_destinations(sight.tokens, sight.grid, window).to(torch.int16)


def _ratios(maps: Sequence[Sequence[Tensor]]) -> Tensor:
    stacked = [torch.stack(list(steps)).flatten(1) for steps in maps]  # (steps, sources)
    return torch.stack([(m[:, None] == m[None]).float().mean(-1) for m in stacked]).mean(0)


def _likeness(now: Tensor, known: Sequence[Tensor]) -> tuple[float, float]:
    """Mean cosine with the step before, and relative error of the linear forecast."""
    if not known:
        return 0.0, 1.0
    cosine = torch.nn.functional.cosine_similarity(now, known[0], dim=-1).mean()
    forecast = 2 * known[0] - known[1] if len(known) > 1 else known[0]
    return float(cosine), float((forecast - now).norm() / now.norm().clamp_min(1e-12))


def _rows(by_block: dict[int, list[float]]) -> list[list[float]]:
    return [by_block[block] for block in sorted(by_block)]
