"""Train the judge's two classifiers on the renderer, and measure them on unseen renderings.

    python -m recipes.zoo.train_judge --out runs/judge

The judge sees all combinations, the held-out ones too: it measures, it is not measured. Its seeds
are apart from those of the models and from those of its own test.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from recipes.zoo.provenance import provenance
from recipes.zoo.render import Grid, render_clips, render_pictures
from recipes.zoo.scenes import (
    MotionScene,
    PictureScene,
    motion_combinations,
    picture_combinations,
)
from tenuto.zoo.judge_networks import NO_OBJECT, ClipClassifier, PictureClassifier
from tenuto.zoo.words import MOTIONS, TRAINED_BACKGROUNDS, TRAINED_OBJECTS

FIRST_TRAINING_SEED, FIRST_TEST_SEED = 5_000_000, 1_000_000
BATCH, TEST_BATCH = 32, 50
CLIP_GRID = Grid(16, 64, 64)
LR = 3e-3


def clip_batch(seeds: range) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Render clips of any combination with the classes of object, background and motion."""
    combinations = motion_combinations(False) + motion_combinations(True)
    scenes = []
    for seed in seeds:
        pick = np.random.default_rng((seed, 0)).integers(len(combinations))
        thing, background, motion = combinations[pick]
        scenes.append(MotionScene(seed=seed, object=thing, background=background, motion=motion))
    classes = (
        [TRAINED_OBJECTS.index(scene.object) for scene in scenes],
        [TRAINED_BACKGROUNDS.index(scene.background) for scene in scenes],
        [MOTIONS.index(scene.motion) for scene in scenes],
    )
    return render_clips(scenes, CLIP_GRID), tuple(map(torch.tensor, classes))


def picture_batch(seeds: range) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Render pictures of any combination with the classes of both slots and the background."""
    scenes = []
    for seed in seeds:
        rng = np.random.default_rng((seed, 0))
        count = int(rng.integers(2)) + 1
        combinations = picture_combinations(count, False) + picture_combinations(count, True)
        parts, background = combinations[rng.integers(len(combinations))]
        scenes.append(PictureScene(seed=seed, parts=parts, background=background))
    slots = [[TRAINED_OBJECTS.index(thing) for _, thing in scene.parts] for scene in scenes]
    classes = (
        [slot[0] for slot in slots],
        [slot[1] if len(slot) > 1 else NO_OBJECT for slot in slots],
        [TRAINED_BACKGROUNDS.index(scene.background) for scene in scenes],
    )
    return render_pictures(scenes), tuple(map(torch.tensor, classes))


def blemish(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Add what generated samples have and renderings have not: grain, other contrast, blur."""
    wide = (len(pixels), *[1] * (pixels.ndim - 1))
    grain = torch.rand(wide, generator=generator) * 0.2
    contrast = 1 + (torch.rand(wide, generator=generator) - 0.5) * 0.3
    shift = (torch.rand(wide, generator=generator) - 0.5) * 0.2
    blurred = pixels.flatten(0, -4) if pixels.ndim == 4 else pixels.flatten(0, 1)
    blurred = F.avg_pool2d(blurred, 3, 1, padding=1, count_include_pad=False).view_as(pixels)
    share = torch.rand(wide, generator=generator) * (torch.rand(wide, generator=generator) < 0.5)
    noise = torch.randn(pixels.shape, generator=generator)
    return pixels.lerp(blurred, share) * contrast + shift + grain * noise


def train(classifier: nn.Module, batch, num_steps: int, seed: int) -> None:
    """Fit `classifier` to `num_steps` blemished batches."""
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=LR, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, num_steps, pct_start=0.15)
    generator = torch.Generator().manual_seed(seed)
    classifier.train()
    for step in range(num_steps):
        first = FIRST_TRAINING_SEED + step * BATCH
        pixels, classes = batch(range(first, first + BATCH))
        logits = classifier(blemish(pixels, generator))
        pairs = zip(logits, classes, strict=True)
        loss = sum(F.cross_entropy(*pair, label_smoothing=0.05) for pair in pairs)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 50 == 0 or step == num_steps - 1:
            print(f"{type(classifier).__name__} step {step} loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def accuracies(classifier: nn.Module, batch, num_samples: int, names: tuple[str, ...]) -> dict:
    """Measure each head, and all of them together, on unseen seeds without blemishes."""
    classifier.eval()
    right = []
    for first in range(FIRST_TEST_SEED, FIRST_TEST_SEED + num_samples, TEST_BATCH):
        pixels, classes = batch(range(first, first + TEST_BATCH))
        logits = classifier(pixels)
        heads = [guess.argmax(1) == true for guess, true in zip(logits, classes, strict=True)]
        right.append(torch.stack(heads, dim=1))
    hits = torch.cat(right)
    shares = dict(zip(names, hits.float().mean(0).tolist(), strict=True))
    return shares | {"all": hits.all(1).float().mean().item(), "samples": num_samples}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=700, help="for clips; pictures take thrice")
    parser.add_argument("--test-samples", type=int, default=2000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    facts, tensors = provenance(), {}
    for kind, classifier, batch, names in (
        ("clip", ClipClassifier(), clip_batch, ("object", "background", "motion")),
        ("picture", PictureClassifier(), picture_batch, ("left", "right", "background")),
    ):
        train(classifier, batch, args.steps if kind == "clip" else 3 * args.steps, seed=0)
        classifier.half().float()  # measured as it is shipped
        facts[kind] = accuracies(classifier, batch, args.test_samples, names)
        print(kind, facts[kind], flush=True)
        for name, tensor in classifier.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                tensors[f"{kind}.{name}"] = tensor.half().contiguous()
    facts["steps"], facts["batch"] = args.steps, BATCH
    save_file(tensors, args.out / "judge.safetensors", metadata={"judge": json.dumps(facts)})
    (args.out / "judge.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
