"""A comparison's plan, and the samples in its folder: references, measured lines, clips."""

import json
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenuto.errors import ResultError
from tenuto.evaluation.contenders import Contender
from tenuto.evaluation.generation import Workload
from tenuto.evaluation.writing import not_written, written_whole

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
        for sample in read_samples(self._path) if self._path.exists() else []:
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
        # A line that a kill cut short must not swallow this one.
        start = "" if _ends_whole(self._path) else "\n"
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{start}{json.dumps(sample)}\n")
        except OSError as error:
            raise not_written(self._path, error) from None

    def of(self, contender: Contender) -> list[dict[str, Any]]:
        """Return a contender's samples in the order of the prompts."""
        found = (self._lines[contender.spec, prompt] for prompt in self._prompts)
        return list(found)


def read_samples(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a ``samples.jsonl``; one that was cut short is left out.

    Raises:
        ResultError: A whole line is no sample.
    """
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            sample = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut short by an interruption; measured again, further down
        if not isinstance(sample, dict) or not all(
            isinstance(sample.get(name), kind) for name, kind in _LINE.items()
        ):
            raise ResultError(f"line {number} of {path} is no measured sample")
        yield sample


_LINE = {"spec": str, "prompt": str, "of": dict}


def _ends_whole(path: Path) -> bool:
    """Return whether a file is missing, empty, or ends with a line's end."""
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def references_of(
    plan: Plan, progress: Progress, only: Collection[int] | None = None
) -> list[Tensor]:
    """Return the untouched pipeline's samples, from disk where they are there."""
    references = []
    for index, prompt in enumerate(plan.prompts):
        if only is not None and index not in only:
            continue
        reference = saved_reference(plan, index)
        if reference is None:
            reference = plan.workload.generate(prompt, index)
            save_reference(plan, index, reference)
        references.append(reference)
        keep_clip(plan, "reference", index, reference)
        progress("untouched")
    return references


def saved_reference(plan: Plan, index: int) -> Tensor | None:
    """Return an untouched sample from disk, None where it is not there.

    Raises:
        ResultError: The file is unreadable.
    """
    path = plan.folder / "references" / f"{index}.npy"
    if not path.exists():
        return None
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError, MemoryError, SyntaxError, TokenError) as error:
        raise ResultError(f"{path} is no sample, delete it to draw it again: {error}") from None


def save_reference(plan: Plan, index: int, reference: Tensor) -> None:
    """Write an untouched sample; the file appears whole or not at all."""
    path = plan.folder / "references" / f"{index}.npy"
    path.parent.mkdir(exist_ok=True)
    with written_whole(path, is_shared=True) as file:
        np.save(file, reference.numpy(), allow_pickle=False)


def keep_clip(plan: Plan, slug: str, index: int, sample: Tensor) -> None:
    """Keep a sample of the first few prompts for the report."""
    if index >= NUM_CLIPS:
        return
    folder = plan.folder / "clips" / slug
    folder.mkdir(parents=True, exist_ok=True)
    frames = (sample * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    with written_whole(folder / f"{index}.npy", is_shared=True) as file:
        np.save(file, frames, allow_pickle=False)
