"""A comparison's plan, and the samples in its folder: references, measured lines, clips."""

import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenuto.errors import ResultError
from tenuto.evaluation.contenders import Contender
from tenuto.evaluation.generation import Workload

Progress = Callable[[str], None]
"""Called with what was just done; one call a sample or timed run."""

NUM_CLIPS = 6
"""Prompts whose samples are kept for the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compare.

    Attributes:
        workload: Pipeline, steps, seed.
        contenders: One row each; the untouched pipeline comes first by itself.
        prompts: What to draw; the same for all.
        folder: Result folder, created if needed; an unfinished comparison in it is continued.
        num_timed_runs: Interleaved timed runs of each contender; 0 times nothing.
        command: Goes into the result, so that a reader can repeat it.
        only_mapped: Contenders of which only the report's maps are made, on the first prompt: too
            slow, or of too few steps, to be compared.
        notes: Further plain facts that belong to the result, such as the split of the prompts.
    """

    workload: Workload
    contenders: tuple[Contender, ...]
    prompts: tuple[str, ...]
    folder: Path
    num_timed_runs: int = 5
    command: str = ""
    only_mapped: tuple[Contender, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


class Samples:
    """Measured samples, on disk as they come: one JSON line each."""

    def __init__(self, plan: Plan) -> None:
        """Read what the plan's folder holds.

        Raises:
            ResultError: It holds a comparison of something else.
        """
        w = plan.workload
        self._of_what = {
            "model": w.model,
            "steps": w.num_steps,
            "seed": w.seed,
            "scheduler": type(w.pipe.scheduler).__name__,
            "order": w.pipe.scheduler.config.get("solver_order"),
            "prompts": sha256(json.dumps(plan.prompts).encode()).hexdigest()[:12],
        }
        self._prompts = plan.prompts
        self._path = plan.folder / "samples.jsonl"
        self._lines: dict[tuple[str, str], dict[str, Any]] = {}
        for line in self._path.read_text("utf-8").splitlines() if self._path.exists() else []:
            try:
                sample = json.loads(line)
            except ValueError:
                continue  # a line cut short by an interruption is measured again
            if sample["of"] != self._of_what:
                raise ResultError(
                    f"`out` must be empty or hold a comparison of {self._of_what}, "
                    f"got {plan.folder} with one of {sample['of']}"
                )
            self._lines[sample["spec"], sample["prompt"]] = sample

    def find(self, contender: Contender, prompt: str) -> dict[str, Any] | None:
        """Return a measured sample, None where it is missing."""
        return self._lines.get((contender.spec, prompt))

    def add(self, contender: Contender, prompt: str, measured: dict[str, Any]) -> None:
        """Take a measured sample and write it down at once."""
        sample = {"spec": contender.spec, "prompt": prompt, "of": self._of_what, **measured}
        self._lines[contender.spec, prompt] = sample
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(sample) + "\n")

    def of(self, contender: Contender) -> list[dict[str, Any]]:
        """Return a contender's samples in the order of the prompts."""
        found = (self._lines[contender.spec, prompt] for prompt in self._prompts)
        return list(found)


def references_of(
    plan: Plan, progress: Progress, only: Collection[int] | None = None
) -> list[Tensor]:
    """Return the untouched pipeline's samples, from disk where they are there."""
    folder = plan.folder / "references"
    folder.mkdir(exist_ok=True)
    references = []
    for index, prompt in enumerate(plan.prompts):
        if only is not None and index not in only:
            continue
        path = folder / f"{index}.npy"
        if path.exists():
            reference = torch.from_numpy(np.load(path, allow_pickle=False))
        else:
            reference = plan.workload.generate(prompt, index)
            partial = path.with_suffix(f".{os.getpid()}.partial")
            with partial.open("wb") as file:
                np.save(file, reference.numpy(), allow_pickle=False)
            partial.replace(path)
        references.append(reference)
        keep_clip(plan, "reference", index, reference)
        progress("untouched")
    return references


def keep_clip(plan: Plan, slug: str, index: int, sample: Tensor) -> None:
    """Keep a sample of the first few prompts for the report."""
    if index >= NUM_CLIPS:
        return
    folder = plan.folder / "clips" / slug
    folder.mkdir(parents=True, exist_ok=True)
    frames = (sample * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    np.save(folder / f"{index}.npy", frames, allow_pickle=False)
