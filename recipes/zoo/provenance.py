"""Where weights come from: the commit and the versions that made them."""

import subprocess
from pathlib import Path

import diffusers
import torch


def provenance() -> dict[str, str]:
    """Name the commit (with ``+changes`` if files differ from it) and the library versions."""
    root = Path(__file__).parents[2]
    git = ["git", "-C", str(root)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    changes = subprocess.run(
        [*git, "status", "--porcelain", "--", "recipes", "src/tenuto/zoo/words.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "commit": commit.stdout.strip() + ("+changes" if changes.stdout.strip() else ""),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
    }
