"""Finds a machine by name or file: presets of accelerators, the table of GPUs, TOML files."""

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from tenuto.config import from_dict, from_toml
from tenuto.hardware import Chip, Gpu

_IDEAL = "-roofline"


@cache
def _gpu_table() -> dict[str, Any]:
    text = (files("tenuto.accelerators") / "data" / "gpus.json").read_text(encoding="utf-8")
    return json.loads(text)


def accelerator_names() -> tuple[str, ...]:
    """Return the names that `load` knows; each GPU also with ``-roofline`` after its name."""
    folder = files("tenuto.accelerators") / "presets"
    chips = sorted(Path(entry.name).stem for entry in folder.iterdir())
    return (*chips, *_gpu_table()["gpus"])


def load(name: str | Path) -> Chip | Gpu:
    """Return a machine.

    Args:
        name: One of `accelerator_names`, a GPU's with ``-roofline`` (efficiencies 1, no
            overheads), or a TOML file of a `Chip`'s fields.

    Raises:
        ValueError: The name is unknown, or a file's key, value or combination is impossible.
        TypeError: A value is not of its field's type.
    """
    if str(name).endswith(".toml"):
        return from_toml(Chip, name)
    name = str(name)
    gpus = _gpu_table()["gpus"]
    if name.removesuffix(_IDEAL) in gpus:
        return _gpu(name, gpus[name.removesuffix(_IDEAL)])
    if name not in accelerator_names():
        raise ValueError(
            f"`accelerator` must be a .toml file or of {list(accelerator_names())}, got {name!r}"
        )
    import tomllib

    text = (files("tenuto.accelerators") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return from_dict(Chip, tomllib.loads(text), name)


def _gpu(name: str, row: dict[str, Any]) -> Gpu:
    sources = tuple(f"{what}: {source}" for what, source in _gpu_table()["sources"].items())
    gpu = from_dict(Gpu, {"name": name, **row}, name)
    gpu = replace(gpu, sources=sources)
    if not name.endswith(_IDEAL):
        return gpu
    return replace(
        gpu, launch_s=0.0, compute_efficiency=1.0, attention_efficiency=1.0, memory_efficiency=1.0
    )
