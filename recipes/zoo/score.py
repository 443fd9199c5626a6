"""Generate captions of both splits, have the judge read them, and lay them out on a sheet.

python -m recipes.zoo.score emoji-video --out runs/score              (the weights shipped)
python -m recipes.zoo.score emoji-video --weights runs/emoji-video --out runs/score
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tenuto.zoo.captions import prompts
from tenuto.zoo.pipelines import call_arguments, load, load_folder
from tenuto.zoo.verdict import Verdict, judge

SHEET_FRAMES, SHEET_ROWS, SCALE = 8, 16, 2
MATCHES = ("object_matches", "background_matches", "motion_matches")


def generate(pipe, caption: str, seed: int, arguments: dict) -> np.ndarray:
    """Run the pipeline once; ``(frames, height, width, 3)`` in [0, 1], one frame for a picture."""
    generator = torch.Generator().manual_seed(seed)
    output = pipe(caption, generator=generator, output_type="np", **arguments)
    return output.frames[0] if "frames" in output else output.images


def shares(verdicts: list[Verdict]) -> dict[str, float]:
    """Give the share of verdicts that match the caption, by head and in all."""
    parts = {
        name: float(np.mean([getattr(verdict, name) for verdict in verdicts])) for name in MATCHES
    }
    return parts | {"all": float(np.mean([bool(verdict) for verdict in verdicts]))}


def sheet(samples: list[np.ndarray]) -> Image.Image:
    """Lay out samples: a clip in a row of frames, pictures side by side."""
    strips = []
    for sample in samples[:SHEET_ROWS]:
        picks = np.linspace(0, len(sample) - 1, min(SHEET_FRAMES, len(sample))).round().astype(int)
        strips.append(np.concatenate(list(sample[picks]), axis=1))
    if len(samples[0]) == 1:
        strips = [
            np.concatenate(strips[first : first + SHEET_FRAMES], axis=1)
            for first in range(0, len(strips) - len(strips) % SHEET_FRAMES, SHEET_FRAMES)
        ]
    pixels = (np.concatenate(strips).clip(0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(pixels)
    return image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.NEAREST)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=["emoji-video", "emoji-image"])
    parser.add_argument("--weights", type=Path, help="folder of a pipeline; default: the shipped")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=32, help="captions of each split")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the first caption's noise")
    parser.add_argument("--grid", type=int, nargs=3, metavar=("FRAMES", "HEIGHT", "WIDTH"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    pipe = load_folder(args.weights) if args.weights else load(args.model)
    pipe.set_progress_bar_config(disable=True)
    arguments = call_arguments(args.model) | {"num_inference_steps": args.steps}
    if args.grid:
        sizes = dict(zip(("num_frames", "height", "width"), args.grid, strict=True))
        arguments |= {name: size for name, size in sizes.items() if name in arguments}
    results = {"weights": str(args.weights or "shipped"), "steps": args.steps}
    for split in ("seen", "held-out"):
        samples, verdicts = [], []
        for index, caption in enumerate(prompts(args.model, split, args.prompts)):
            samples.append(generate(pipe, caption, args.seed + index, arguments))
            shown = samples[-1] if args.model == "emoji-video" else samples[-1][0]
            verdicts.append(judge(shown, caption))
        results[split] = shares(verdicts)
        print(split, results[split], flush=True)
        sheet(samples).save(args.out / f"{args.model}-{split}.png")
        misread = [verdict for verdict in verdicts if not verdict]
        results[f"{split} misread"] = [
            f"{verdict.caption}: {verdict.object}, {verdict.background}, {verdict.motion}"
            for verdict in misread
        ]
    (args.out / f"{args.model}.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
