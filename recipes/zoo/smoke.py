"""Prove that both recipes work: the loss falls, and a killed run resumes to the bit.

python -m recipes.zoo.smoke --minutes 1
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from recipes.zoo.checkpoint import CHECKPOINT, LOG, read_log
from recipes.zoo.plan import TASKS

TINY_STEPS = 200
KILL_AFTER_STEP = 75
LOSS_SHARE = 0.6  # the last losses must be below this share of the first; 35 steps give 0.36


def command(model: str, folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "recipes.zoo.train", model, "--out", str(folder), *options]


def check_loss_falls(model: str, folder: Path, minutes: float) -> None:
    """Train the real model from scratch for a while."""
    subprocess.run(
        command(model, folder, "--minutes", str(minutes), "--log-steps", "5"), check=True
    )
    rows = read_log(folder)
    first = max(row["loss"] for row in rows[:3])  # a row is five steps of one size or the other
    last = sum(row["loss"] for row in rows[-3:]) / len(rows[-3:])
    print(f"{model}: loss {first:.3f} -> {last:.3f} in {rows[-1]['step']} steps", flush=True)
    if len(rows) < 4 or last > LOSS_SHARE * first:
        raise SystemExit(f"{model}: the loss did not fall below {LOSS_SHARE} of the first")


def check_resumes_to_the_bit(model: str, folder: Path) -> None:
    """Compare a run that is killed and resumed with one that is left alone."""
    options = ("--tiny", "--steps", str(TINY_STEPS), "--save-minutes", "0")
    whole, cut = folder / "whole", folder / "cut"
    subprocess.run(command(model, whole, *options), check=True)
    process = subprocess.Popen(command(model, cut, *options))
    while process.poll() is None and _last_step(cut) < KILL_AFTER_STEP:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise SystemExit(f"{model}: the run ended before it could be killed")
    killed_at = _last_step(cut)
    subprocess.run(command(model, cut, *options), check=True)
    expected, resumed = load_file(whole / CHECKPOINT), load_file(cut / CHECKPOINT)
    if expected.keys() != resumed.keys():
        raise SystemExit(f"{model}: the resumed checkpoint holds other tensors")
    unequal = [name for name in expected if not torch.equal(expected[name], resumed[name])]
    if unequal:
        raise SystemExit(f"{model}: {len(unequal)} tensors differ after the resume: {unequal[:3]}")
    if _losses(whole) != _losses(cut):
        raise SystemExit(f"{model}: the resumed loss log differs")
    print(f"{model}: killed at step {killed_at}, resumed to the bit ({len(expected)} tensors)")


def _last_step(folder: Path) -> int:
    log = folder / LOG
    rows = read_log(folder) if log.exists() and (folder / CHECKPOINT).exists() else []
    return rows[-1]["step"] if rows else 0


def _losses(folder: Path) -> list[str]:
    rows = [row | {"tokens_per_cpu_s": None} for row in read_log(folder)]
    return [json.dumps(row, sort_keys=True) for row in rows]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="of processor time, per model")
    minutes = parser.parse_args().minutes
    folder = Path(tempfile.mkdtemp(prefix="zoo-smoke-"))
    try:
        for model in sorted(TASKS):
            check_resumes_to_the_bit(model, folder / f"{model}-tiny")
            check_loss_falls(model, folder / model, minutes)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
