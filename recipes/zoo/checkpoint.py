"""Checkpoints and the loss log on disk: safetensors and JSON only, whole at any moment."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from recipes.zoo.plan import TASKS
from recipes.zoo.run import Position, Run, Settings

CHECKPOINT, LOG = "checkpoint.safetensors", "log.jsonl"


def save(run: Run, task_key: str, folder: Path) -> None:
    """Write the run's checkpoint; the one before stays valid until this one is complete."""
    facts = {
        "task": task_key,
        "settings": asdict(run.settings),
        "position": asdict(run.position),
        "config": run.config,
        "commits": run.commits,
    }
    tensors = {name: tensor.contiguous() for name, tensor in run.tensors().items()}
    partial = folder / (CHECKPOINT + ".partial")
    save_file(tensors, partial, metadata={"run": json.dumps(facts)})
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(folder / CHECKPOINT)


def load(folder: Path, total_tokens: float | None = None) -> tuple[Run, str]:
    """Rebuild the run that `folder` holds, and trim its log to the checkpoint.

    Args:
        folder: Where `save` wrote.
        total_tokens: A new length of the run, which moves the decay of the rate; None keeps it.
    """
    with safe_open(folder / CHECKPOINT, "pt") as file:
        facts = json.loads(file.metadata()["run"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    settings = facts["settings"]
    if total_tokens is not None:
        settings["total_tokens"] = total_tokens
    run = Run(TASKS[facts["task"]], Settings(**settings))
    run.restore(tensors, Position(**facts["position"]))
    run.commits = facts.get("commits", [])
    _trim_log(folder / LOG, run.position.step)
    return run, facts["task"]


def append_log(folder: Path, row: dict) -> None:
    """Add one line to the loss log."""
    with (folder / LOG).open("a") as file:
        file.write(json.dumps(row) + "\n")


def read_log(folder: Path) -> list[dict]:
    """Read the loss log; a last line cut short by a kill is left out."""
    rows = []
    for line in (folder / LOG).read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _trim_log(log: Path, last_step: int) -> None:
    if not log.exists():
        return
    rows = [row for row in read_log(log.parent) if row["step"] <= last_step]
    partial = log.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
    partial.replace(log)
