"""One of two processes under Ulysses on gloo; writes what it saw. Run by test_context_parallel."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig
from tests.integration import tiny_models
from tests.integration.conftest import Loop
from torch import Tensor

import tenuto
from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.matching import match_tokens
from tenuto.integration import pairing
from tenuto.integration.memory import Pairs
from tenuto.integration.shards import Shards

NUM_RANKS = 2
LATENTS = {"wan": (4, 4, 8, 8), "flux": (64, 4), "qwen": (64, 16)}
FORECAST = tenuto.DiTo(ratio=1.0, interval=2, warmup=2)
PARTIAL = tenuto.DiTo(ratio=0.5, interval=2, warmup=1, predict="linear")
KEPT_KEYS = tenuto.DiTo(ratio=0.5, interval=2, warmup=1, predict="none", keys="kept")
ADAPTIVE = tenuto.ORBIS(loss_threshold=0.02, ratio=0.75, warmup=1)
NEUTRAL = tenuto.DiTo(ratio=0.0)
REUSE = tenuto.FFNReuse(sparsity=0.5)
TECHNIQUES = {
    "forecast": (FORECAST,),
    "partial": (PARTIAL,),
    "kept keys": (KEPT_KEYS,),
    "adaptive": (ADAPTIVE,),
    "forecast and reuse": (FORECAST, REUSE),
}
CHECKED_AGAINST_HALVES = ("partial", "kept keys")


def make_loop(family: str) -> Loop:
    """A loop whose text and image rows divide by two; diffusers splits plain tuples only."""
    tiny_models.NUM_TEXT = 6
    tiny = tiny_models.make(family)
    inputs = tiny.inputs
    tiny.inputs = lambda *given: {**inputs(*given), "return_dict": False}
    return Loop(tiny)


def run(loop: Loop, family: str, *techniques: Any) -> tuple[Tensor, dict[str, Any]]:
    """Denoise; return the sample and what was counted."""
    arguments = {"latents": LATENTS[family], "guidance": "split", "batch": 2}
    if not techniques:
        return loop(**arguments), {}
    with tenuto.accelerate(loop, *techniques) as handle:
        return loop(**arguments), handle.stats().to_dict()


def match_in_halves(
    features: Tensor, grid: tuple[int, ...], window: tuple[int, ...], ratio: float, **options: Any
) -> MatchPlan:
    """What both ranks find, in one process."""
    half = features.shape[1] // NUM_RANKS
    shard = Shards(num_ranks=NUM_RANKS).grid(grid)
    window = tuple(min(axis, size) for axis, size in zip(shard, window, strict=True))
    plans = [match_tokens(f, shard, window, ratio, **options) for f in features.chunk(NUM_RANKS, 1)]
    return MatchPlan(
        *(
            torch.cat([getattr(plan, name) + i * half for i, plan in enumerate(plans)], 1)
            for name in ("keep", "src", "dst")
        )
    )


def alone(family: str) -> dict[str, tuple[Tensor, dict[str, Any]]]:
    """The same in this process alone."""
    loop = make_loop(family)
    found = {"off": run(loop, family), "forecast": run(loop, family, FORECAST)}
    pairing.match_tokens = match_in_halves
    for name in CHECKED_AGAINST_HALVES:
        found[name] = run(loop, family, *TECHNIQUES[name])
    pairing.match_tokens = match_tokens
    return found


def spread(loop: Loop) -> Loop:
    """Turn context parallelism on. diffusers counts accelerators, of which a CPU has none."""
    counted, torch.accelerator.device_count = torch.accelerator.device_count, lambda: 1
    try:
        config = ContextParallelConfig(ulysses_degree=NUM_RANKS)
        loop.transformer.enable_parallelism(config=config)
    finally:
        torch.accelerator.device_count = counted
    return loop


def counts_noted() -> list[int]:
    """From now on, collect how many pairs each matching of this rank found before agreeing."""
    noted: list[int] = []
    before = Pairs.__init__

    def note(self: Pairs, plan: MatchPlan, *rest: Any) -> None:
        before(self, plan, *rest)
        noted.append(plan.src.shape[1])

    Pairs.__init__ = note  # type: ignore[method-assign]
    return noted


def together(family: str) -> dict[str, Any]:
    """Compare both ranks' results with those of one process."""
    expected = alone(family)
    loop = spread(make_loop(family))
    dense, _ = run(loop, family)
    facts: dict[str, Any] = {"off": distance(dense, expected["off"][0])}
    facts["neutral is exact"] = torch.equal(run(loop, family, NEUTRAL)[0], dense)
    for name, techniques in TECHNIQUES.items():
        noted = counts_noted()
        sample, stats = run(loop, family, *techniques)
        facts[f"{name} stats"], facts[f"{name} found"] = stats, list(noted)
        facts[f"{name} changed"] = distance(sample, dense)
        facts[f"{name} checksum"] = float(sample.double().sum())
        if name in expected:
            facts[name] = distance(sample, expected[name][0])
            facts[f"{name} stats alone"] = expected[name][1]
        facts[f"exact after {name}"] = torch.equal(run(loop, family)[0], dense)
    facts["hooks later"] = distance(_accelerated_before_spreading(family), expected["forecast"][0])
    return facts


def _accelerated_before_spreading(family: str) -> Tensor:
    loop = make_loop(family)
    handle = tenuto.accelerate(loop, FORECAST)
    spread(loop)
    sample = loop(latents=LATENTS[family], guidance="split", batch=2)
    handle.remove()
    return sample


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def main() -> None:
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=NUM_RANKS
    )
    with torch.no_grad():
        facts = {family: together(family) for family in LATENTS}
    (folder / f"{rank}.json").write_text(json.dumps(facts))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
