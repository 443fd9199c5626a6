"""Eager prediction on an embedded model: two leading ones against one, an oracle, and noise.

Fidelity of whole samples against the untouched run; recall of the oracle's keys and error of the
attention output, block by block on exact inputs; and the tiles that ConMerge leaves of the real
masks. Lines are appended to a file; what is in it already is not measured again.

    python benchmarks/eager_prediction.py --out eager.jsonl [--model emoji-video] [--captions 2]
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

import tenuto
from tenuto.algorithms.eager_prediction import AttentionPlan
from tenuto.golden.conmerge import pack
from tenuto.integration import eager_place

PREDICTORS = ("two_step", "one_step", "exact", "random")
RATIOS = (0.3, 0.1, 0.5, 0.2)
THRESHOLDS = (16.0, 8.0, 4.0)
PROBED_STEPS = (2, 10, 18)
Row = dict[str, Any]
Measure = Callable[[tenuto.EagerPrediction], Row]


class Results:
    """A file of results, one JSON object a line."""

    def __init__(self, file: Path) -> None:
        """Read what is there."""
        self._file = file
        self.rows: list[Row] = (
            [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        )

    def measure(self, key: Row, technique: tenuto.EagerPrediction, measure: Measure) -> None:
        """Measure and append, unless a line with this key is there."""
        if any(key.items() <= row.items() for row in self.rows):
            return
        row = {**key, **measure(technique)}
        self.rows.append(row)
        print(row, flush=True)
        with self._file.open("a") as lines:
            lines.write(json.dumps(row) + "\n")


def sample(pipe: Any, caption: str, num_steps: int) -> Tensor:
    """Draw one sample; values from 0 to 1."""
    result = pipe(
        caption,
        num_inference_steps=num_steps,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    )
    return (result.frames if hasattr(result, "frames") else result.images).float()


def fidelity(pipe: Any, captions: list[str], num_steps: int) -> Measure:
    """Return a measure of the PSNR against the untouched run, in dB, and of the operations."""
    dense = [sample(pipe, caption, num_steps) for caption in captions]

    def measure(technique: tenuto.EagerPrediction) -> Row:
        psnrs = []
        with tenuto.accelerate(pipe, technique) as handle:
            for caption, reference in zip(captions, dense, strict=True):
                error = (sample(pipe, caption, num_steps) - reference).square().mean()
                psnrs.append(float(-10 * error.log10()))
            stats = handle.stats()
        return {
            "psnr_db": sum(psnrs) / len(psnrs),
            "macs_dense": stats.macs_dense,
            "macs_done": stats.macs_done,
            "shift_adds": stats.shift_adds,
        }

    return measure


def recorded_calls(pipe: Any, caption: str, num_steps: int) -> list[tuple[tuple[Any, ...], Row]]:
    """Arguments of the transformer in a few steps of an untouched run."""
    calls: list[tuple[tuple[Any, ...], Row]] = []
    hook = pipe.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: calls.append((args, dict(kwargs))), with_kwargs=True
    )
    sample(pipe, caption, num_steps)
    hook.remove()
    calls_per_step = len(calls) // num_steps
    return [calls[step * calls_per_step] for step in PROBED_STEPS if step < num_steps]


def attentions(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The self-attention of each block."""
    from tenuto.integration.families import family_of

    family = family_of(model)
    return [
        getattr(block, row.self_attention)
        for row in family.blocks
        for block in getattr(model, row.blocks)
    ]


@torch.no_grad()
def observed(
    model: torch.nn.Module, call: tuple[tuple[Any, ...], Row], technique: Any, block: int
) -> tuple[Tensor, AttentionPlan | None]:
    """Run one call; return the output of one block's attention, and its plan if it had one."""
    outputs: list[Tensor] = []
    plans: list[AttentionPlan] = []

    def keep_plan(*arguments: Any) -> AttentionPlan:
        plans.append(eager_plan(*arguments))
        return plans[-1]

    eager_plan = eager_place.plan_from_scores
    hook = attentions(model)[block].register_forward_hook(
        lambda module, args, output: outputs.append(
            output[0] if isinstance(output, tuple) else output
        )
    )
    with patch.object(eager_place, "plan_from_scores", keep_plan):
        if technique is None:
            model(*call[0], **call[1])
        else:
            with tenuto.accelerate(model, technique):
                model(*call[0], **call[1])
    hook.remove()
    return outputs[-1], plans[-1] if plans else None


def probes(pipe: Any, caption: str, num_steps: int, blocks: tuple[int, ...]) -> Measure:
    """Return a measure of recall, attention error and tiles; a single block at a time predicts."""
    model = pipe.transformer
    calls = recorded_calls(pipe, caption, num_steps)
    places = [(call, block) for call in calls for block in blocks]
    dense = [observed(model, call, None, block)[0] for call, block in places]
    oracles: dict[float, list[AttentionPlan | None]] = {}

    def oracle(ratio: float) -> list[AttentionPlan | None]:
        if ratio not in oracles:
            settings = [
                tenuto.EagerPrediction(keep_ratio=ratio, predictor="exact", blocks=(block,))
                for _, block in places
            ]
            oracles[ratio] = [
                observed(model, call, setting, block)[1]
                for (call, block), setting in zip(places, settings, strict=True)
            ]
        return oracles[ratio]

    def measure(technique: tenuto.EagerPrediction) -> Row:
        rows = []
        bests = oracle(technique.keep_ratio)
        for (call, block), reference, best in zip(places, dense, bests, strict=True):
            here = tenuto.EagerPrediction(
                keep_ratio=technique.keep_ratio, predictor=technique.predictor, blocks=(block,)
            )
            output, plan = observed(model, call, here, block)
            assert plan is not None and best is not None
            shares = tiles(plan.keep) if technique.predictor == "two_step" else {}
            rows.append(
                {
                    "recall": float((plan.keep & best.keep).sum() / best.keep.sum()),
                    "output_error": float((output - reference).norm() / reference.norm()),
                    "keys_needed": float(plan.needed_keys.double().mean()),
                    **shares,
                }
            )
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    return measure


def tiles(keep: Tensor) -> Row:
    """Shares of dense tiles after condensing and merging; of a random mask as dense, too."""
    masks = keep.flatten(0, 1).numpy()
    random = np.random.default_rng(0).random(masks.shape) < masks.mean()
    shares: Row = {}
    for name, drawn in (("", masks), ("random_", random)):
        packings = [pack(mask) for mask in drawn]
        dense = sum(packing.num_dense_tiles for packing in packings)
        condensed = sum(packing.num_condensed_tiles for packing in packings)
        shares[f"{name}condensed"] = condensed / dense
        shares[f"{name}merged"] = sum(packing.num_tiles for packing in packings) / dense
    return shares


def settings() -> Iterator[tuple[Row, tenuto.EagerPrediction]]:
    """Every setting with what names it."""
    for ratio in RATIOS:
        for predictor in PREDICTORS:
            key: Row = {"predictor": predictor, "keep_ratio": ratio, "one_hot_threshold": None}
            yield key, tenuto.EagerPrediction(**key)
    for threshold in THRESHOLDS:
        key = {"predictor": "two_step", "keep_ratio": 0.5, "one_hot_threshold": threshold}
        yield key, tenuto.EagerPrediction(**key)


def main() -> None:
    """Measure every setting that the file does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("eager_prediction.jsonl"))
    parser.add_argument("--model", default="emoji-video")
    parser.add_argument("--captions", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 4, 7])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    pipe = tenuto.zoo.load(chosen.model)
    pipe.set_progress_bar_config(disable=True)
    captions = tenuto.zoo.prompts(chosen.model, split="held-out", n=chosen.captions)
    results = Results(chosen.out)
    run = {"model": chosen.model, "steps": chosen.steps}
    parts = probes(pipe, captions[0], chosen.steps, tuple(chosen.blocks))
    for key, technique in settings():
        if key["one_hot_threshold"] is None:
            results.measure({**run, **key, "measured": "attention"}, technique, parts)
    whole = fidelity(pipe, captions, chosen.steps)
    for key, technique in settings():
        results.measure(
            {**run, **key, "measured": "samples", "captions": chosen.captions}, technique, whole
        )


if __name__ == "__main__":
    main()
