"""Write the averaged weights of a run as a diffusers folder in half precision.

python -m recipes.zoo.export runs/video --to runs/emoji-video
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from recipes.zoo import checkpoint
from recipes.zoo.provenance import provenance
from recipes.zoo.run import Run
from tenuto.zoo.assemble import assemble_image, assemble_video, save_half

ASSEMBLE = {"video": assemble_video, "image": assemble_image}
LAST_ROWS = 20


def pipeline_of(run: Run, task_key: str) -> DiffusionPipeline:
    """Put the run's averaged weights into the pipeline that `tenuto.zoo.load` gives."""
    with torch.no_grad():
        for name, param in run.params.items():
            param.copy_(run.ema[name])
    run.model.requires_grad_(False)
    return ASSEMBLE[task_key](run.model.transformer, run.model.words.weight.detach())


def export(folder: Path, to: Path) -> None:
    """Write the pipeline of the run in `folder` and, beside it, where it comes from."""
    rows = checkpoint.read_log(folder)
    run, task_key = checkpoint.load(folder)
    last = rows[-LAST_ROWS:]
    grids = sorted({grid for row in last for grid in row["loss_by_grid"]})
    losses = {grid: _mean([row["loss_by_grid"].get(grid) for row in last]) for grid in grids}
    save_half(pipeline_of(run, task_key), to)
    versions = provenance()
    facts = {
        "model": run.task.name,
        "trained_at": run.commits,
        "exported_at": versions.pop("commit"),
        **versions,
        **asdict(run.settings),
        **asdict(run.position),
        "loss_by_grid": losses,
        "held_out": "tenuto.zoo.held_out",
    }
    (to / "provenance.json").write_text(json.dumps(facts, indent=1) + "\n")


def _mean(values: list[float | None]) -> float:
    present = [value for value in values if value is not None]
    return round(sum(present) / len(present), 5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the run")
    parser.add_argument("--to", type=Path, required=True, help="folder of the pipeline")
    args = parser.parse_args()
    export(args.folder, args.to)
