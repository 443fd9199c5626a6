"""The machine and the versions behind a measurement, as a result file records them."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import tenuto

_PACKAGES = ("torch", "numpy", "diffusers", "transformers", "cache-dit", "tomesd", "flip-evaluator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a time was measured on; the fields are the keys of `machine` in a result file.

    `cores` are the logical processors this process may use, `threads` those torch uses.
    `memory_gib` is None where the system does not tell.
    """

    cpu: str
    cores: int
    threads: int
    memory_gib: float | None
    platform: str


def this_machine() -> Machine:
    """Describe the machine that runs this process."""
    return Machine(
        cpu=_cpu_name(),
        cores=_num_usable_cores(),
        threads=torch.get_num_threads(),
        memory_gib=_memory_gib(),
        platform=platform.platform(),
    )


def versions() -> dict[str, str]:
    """Versions of Python, tenuto and those packages behind the numbers that are installed."""
    found = {"tenuto": tenuto.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Marketing name on Linux for x86; elsewhere what Python knows, at worst the architecture."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())


def _num_usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: what the container or taskset allows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # no sysconf on Windows
        return None
    return round(memory_bytes / 2**30, 1)
