"""The ablation ladder of ORBIS, and whether earlier outputs tell similarities better than inputs.

On the embedded video model, in three parts. Correlation: of the cosines between all tokens of a
guide with those of the attention's true output, over blocks and steps of dense runs. Recovery: the
error of a token's output when its partner's stands for it, on the same dense runs, with the pairs
of each rung. Ladder: PSNR of whole runs against the dense run, for each rung.

    python benchmarks/orbis_ladder.py [--captions 4] [--steps 30] [--ratio 0.5] [--threads 2]
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import tenuto
from tenuto.algorithms.datm import Datm, match_datm
from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.matching import match_tokens
from tenuto.evaluation.generation import Workload, load_workload
from tenuto.evaluation.machine import this_machine, versions
from tenuto.evaluation.quality import PSNR_CEILING_DB, psnr_db
from tenuto.integration.recorder import Sight, recording

MODEL = "emoji-video"
RUNGS: dict[str, dict[str, Any]] = {
    "strided, current input": {"matching": "strided", "guide": "input"},
    "strided, previous output": {"matching": "strided", "guide": "block", "rematch": True},
    "DATM, previous output": {"bits": None, "guide": "block", "rematch": True},
    "DATM, INT8": {"bits": 8, "guide": "block", "rematch": True},
    "DATM, INT4": {"bits": 4, "guide": "block", "rematch": True},
    "DATM, INT8, attention output": {"bits": 8, "guide": "attn"},
}
GUIDES = {
    "input": "current input",
    "block": "previous block output",
    "attn": "previous attention output",
}
"""What each guide is called; whole runs match on attention outputs of refreshes only."""


def plan_of(rung: dict[str, Any], tokens: Tensor, grid: tuple[int, ...], ratio: float) -> MatchPlan:
    """Match as a rung does."""
    if rung.get("matching") == "strided":
        return match_tokens(tokens, grid, (2,) * len(grid), ratio)
    return match_datm(tokens, grid, ratio, Datm(bits=rung["bits"]))


def recovery_error(outputs: Tensor, plan: MatchPlan) -> float:
    """Squared error of the partner's output over the squared size of the token's own."""
    own, partner = (
        outputs.gather(1, index[..., None].expand(-1, -1, outputs.shape[-1]))
        for index in (plan.src, plan.dst)
    )
    return float((own - partner).square().sum() / own.square().sum())


def cosines(tokens: Tensor) -> Tensor:
    """Between all tokens of the first sample, above the diagonal, flat."""
    units = torch.nn.functional.normalize(tokens[0].float(), dim=-1)
    similar = units @ units.T
    return similar[*torch.triu_indices(*similar.shape, offset=1)]


class DenseRun:
    """Looks on while a dense run goes by; compares guides and rungs with what comes out."""

    def __init__(self, pipe: Any, ratio: float) -> None:
        """Watch what goes into the blocks and comes out; attention outputs come to `see`."""
        self.correlations: dict[str, list[float]] = defaultdict(list)
        self.errors: dict[str, list[float]] = defaultdict(list)
        self._ratio, self._branch = ratio, 0
        self._inputs: dict[int, Tensor] = {}
        self._before: dict[tuple[int, int, str], Tensor] = {}
        self.hooks = []
        for index, block in enumerate(pipe.transformer.blocks):
            self.hooks.append(block.register_forward_pre_hook(self._enter(index)))
            self.hooks.append(block.register_forward_hook(self._leave(index)))

    def _enter(self, index: int) -> Callable[..., None]:
        return lambda block, args: self._inputs.update({index: args[0]})

    def _leave(self, index: int) -> Callable[..., None]:
        return lambda block, args, output: self._before.update(
            {(self._branch, index, "block"): output}
        )

    def see(self, sight: Sight) -> None:
        """Take an attention's output and compare with it what was known before."""
        if sight.part != "attn" or sight.block_index < 0:
            return
        self._branch, index = sight.moment.branch, sight.block_index
        before_block = self._before.get((self._branch, index, "block"))
        before_attn = self._before.get((self._branch, index, "attn"))
        self._before[self._branch, index, "attn"] = sight.tokens
        if sight.moment.step_index == 0 or before_block is None or before_attn is None:
            return
        guides = dict(
            zip(GUIDES.values(), (self._inputs[index], before_block, before_attn), strict=True)
        )
        true = cosines(sight.tokens)
        for name, tokens in guides.items():
            both = torch.stack([cosines(tokens), true])
            self.correlations[name].append(float(torch.corrcoef(both)[0, 1]))
        for name, rung in RUNGS.items():
            tokens = guides[
                "current input" if rung["guide"] == "input" else "previous block output"
            ]
            plan = plan_of(rung, tokens, sight.grid, self._ratio)
            self.errors[name].append(recovery_error(sight.tokens, plan))


def watch_dense_runs(workload: Workload, prompts: list[str], ratio: float) -> list[Tensor]:
    """Print what dense runs show; return their samples."""
    run = DenseRun(workload.pipe, ratio)
    try:
        with recording(workload.pipe, run.see):
            samples = [workload.generate(prompt, i) for i, prompt in enumerate(prompts)]
    finally:
        for hook in run.hooks:
            hook.remove()
    print("\n| guide | correlation with the true output's cosines, mean | lowest |\n|---|---|---|")
    for name, values in run.correlations.items():
        print(f"| {name} | {sum(values) / len(values):.3f} | {min(values):.3f} |")
    print(f"\n| pairs, ratio {ratio:g} | relative squared error of the copies |\n|---|---|")
    for name, values in run.errors.items():
        print(f"| {name} | {sum(values) / len(values):.4f} |")
    return samples


def climb(workload: Workload, prompts: list[str], dense: list[Tensor], ratio: float) -> None:
    """Print the fidelity of each rung, with fewer and with all keys."""
    print(f"\n| rung, ratio {ratio:g} | keys | MACs | PSNR, mean | worst |\n|---|---|---|---|---|")
    for keys in ("kept", "all"):
        for name, rung in RUNGS.items():
            technique = tenuto.ORBIS(
                ratio=ratio, refresh=5, warmup=1, keys=keys, predict="none", scope=("self",), **rung
            )
            with tenuto.accelerate(workload.pipe, technique) as handle:
                fidelity = [
                    psnr_db(workload.generate(prompt, i), dense[i]) or PSNR_CEILING_DB
                    for i, prompt in enumerate(prompts)
                ]
                macs_ratio = handle.stats().macs_ratio
            mean = sum(fidelity) / len(fidelity)
            print(
                f"| {name} | {keys} | {macs_ratio:.2f}x | {mean:.2f} | {min(fidelity):.2f} |",
                flush=True,
            )


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=4)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(this_machine(), versions(), sep="\n")
    workload = load_workload(MODEL, num_steps=chosen.steps)
    prompts = tenuto.zoo.prompts(MODEL, split="seen", n=chosen.captions)
    with torch.no_grad():
        dense = watch_dense_runs(workload, prompts, chosen.ratio)
        climb(workload, prompts, dense, chosen.ratio)


if __name__ == "__main__":
    main()
