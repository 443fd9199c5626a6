"""Where weights come from: the commit and the versions that made them."""

import subprocess
from pathlib import Path

import diffusers
import torch

ROOT = Path(__file__).parents[2]


def provenance() -> dict[str, str]:
    """Name the commit (with ``+changes`` if files differ from it) and the library versions."""
    commit = _git("rev-parse", "HEAD") or "not a git checkout"
    changes = _git("status", "--porcelain", "--", "recipes", "src/tenuto/zoo/words.py")
    return {
        "commit": commit + ("+changes" if changes else ""),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
    }


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
