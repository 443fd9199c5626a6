"""Finds a machine by name or file: presets of accelerators, the table of GPUs, TOML files."""

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from tenuto.accelerators.gpu_table import gpu_from, read_gpu_table
from tenuto.config import from_dict, from_toml
from tenuto.hardware import Chip
from tenuto.hardware_gpu import Gpu

_IDEAL = "-roofline"
_SINGLE = "-fp32"


@cache
def _gpu_table() -> dict[str, Any]:
    text = (files("tenuto.accelerators") / "data" / "gpus.json").read_text(encoding="utf-8")
    return json.loads(text)


def accelerator_names() -> tuple[str, ...]:
    """Return the names that `load` knows.

    A GPU's name is also known with ``-roofline`` or ``-fp32`` after it.
    """
    folder = files("tenuto.accelerators") / "presets"
    chips = sorted(Path(entry.name).stem for entry in folder.iterdir())
    return (*chips, *_gpu_table()["gpus"])


def load(name: str | Path) -> Chip | Gpu:
    """Return a machine.

    Args:
        name: One of `accelerator_names`, a GPU's also with ``-roofline`` (efficiencies 1, no
            overheads) or ``-fp32`` (single precision without tensor units), a .toml file of a
            `Chip`'s fields, or a .json file that `tenuto gpu-table` measured.

    Raises:
        ValueError: The name is unknown, or a file's key, value or combination is impossible.
        TypeError: A value is not of its field's type.
    """
    if str(name).endswith(".toml"):
        return from_toml(Chip, name)
    if str(name).endswith(".json"):
        return gpu_from(read_gpu_table(Path(name)))
    name = str(name)
    gpus = _gpu_table()["gpus"]
    plain = name.removesuffix(_IDEAL).removesuffix(_SINGLE)
    if plain in gpus:
        return _gpu(name, gpus[plain])
    if name not in accelerator_names():
        raise ValueError(
            "`accelerator` must be a .toml file, a .json file of `tenuto gpu-table` or one of "
            f"{list(accelerator_names())}, got {name!r}"
        )
    import tomllib

    text = (files("tenuto.accelerators") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return from_dict(Chip, tomllib.loads(text), name)


def known_gpu(name: str) -> Gpu:
    """Return a GPU of the table by its plain name.

    Raises:
        ValueError: The table has no such GPU.
    """
    gpus = _gpu_table()["gpus"]
    if name not in gpus:
        raise ValueError(f"`like` must be one of {list(gpus)}, got {name!r}")
    return _gpu(name, gpus[name])


def _gpu(name: str, row: dict[str, Any]) -> Gpu:
    sources = tuple(f"{what}: {source}" for what, source in _gpu_table()["sources"].items())
    fields = {key: value for key, value in row.items() if key != "fp32_macs_per_s"}
    gpu = replace(from_dict(Gpu, {"name": name, **fields}, name), sources=sources)
    if name.endswith(_SINGLE):
        return replace(gpu, macs_per_s=row["fp32_macs_per_s"], element_bytes=4)
    if not name.endswith(_IDEAL):
        return gpu
    return replace(
        gpu, launch_s=0.0, compute_efficiency=1.0, attention_efficiency=1.0, memory_efficiency=1.0
    )
