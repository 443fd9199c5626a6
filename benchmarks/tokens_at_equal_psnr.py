"""How many tokens ORBIS leaves out where AsymRnR reaches the same PSNR (target S4).

A setting's tokens are the query rows of self-attention that it does not compute, as a share of all
rows of all blocks and steps, dense steps included. Both methods leave keys and values whole
("queries"), or reduce them, too ("all inputs"). ORBIS once as the paper's copies, once with our
forecasts. A share between two settings of a method is read off the straight line between them on
its front. Resumable: the same command goes on where it stopped.

    python benchmarks/tokens_at_equal_psnr.py [--prompts 16] [--workers 2] [--out tokens]
"""

import argparse
import multiprocessing
from pathlib import Path

import torch

from tenuto.algorithms.asymrnr import AsymRnR
from tenuto.algorithms.orbis import ORBIS
from tenuto.evaluation.compare import measure
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.fronts import read_off
from tenuto.evaluation.generation import load_workload
from tenuto.evaluation.machine import this_machine, versions
from tenuto.evaluation.prompts import prompts_for
from tenuto.evaluation.samples import Plan

MODEL, NUM_BLOCKS = "emoji-video", 8
COPIES = "predict=none,scope=self,guide=block,rematch=true,warmup=1,refresh=5"
QUERY_RATIOS = (0.01, 0.05, 0.176)
METHODS = {
    "AsymRnR, queries": [f"asymrnr:query_ratio={q},key_ratio=0" for q in QUERY_RATIOS],
    "AsymRnR, queries and keys": [
        f"asymrnr:query_ratio={q},key_ratio={q / 2:g}" for q in QUERY_RATIOS
    ],
    "ORBIS, copies": [f"orbis:{COPIES},ratio={r}" for r in (0.05, 0.2, 0.5)],
    "ORBIS, forecasts": [f"orbis:scope=self,ratio=0.7,refresh={n}" for n in (3, 6, 12)],
}


def plan_of(specs: tuple[str, ...], chosen: argparse.Namespace) -> Plan:
    """Return what is to be measured in the folder."""
    return Plan(
        workload=load_workload(MODEL, num_steps=chosen.steps),
        contenders=tuple(contender(spec) for spec in specs),
        prompts=prompts_for(MODEL, "held-out", chosen.prompts, None),
        folder=chosen.out,
    )


def share_left_out(spec: str, num_steps: int) -> float:
    """Return the mean share of query rows that a setting leaves out, [0, 1]."""
    (technique,) = contender(spec).techniques
    if not isinstance(technique, ORBIS | AsymRnR):
        raise TypeError(f"`spec` must be one of ORBIS or AsymRnR, got {spec!r}")
    schedule = technique.reduction().schedule
    rows = [schedule.row(step, NUM_BLOCKS) for step in range(num_steps)]
    return sum(map(sum, rows)) / (num_steps * NUM_BLOCKS)


def measure_setting(task: tuple[str, argparse.Namespace]) -> None:
    """Measure one setting on all captions, in a process of one thread."""
    spec, chosen = task
    torch.set_num_threads(1)
    measure(plan_of((spec,), chosen), lambda done: None)


def draw_references(task: tuple[int, argparse.Namespace]) -> None:
    """Draw one worker's share of the untouched samples."""
    worker, chosen = task
    torch.set_num_threads(1)
    only = range(worker, chosen.prompts, chosen.workers)
    measure(plan_of((), chosen), lambda done: None, only)


def main() -> None:
    """Measure all settings; print shares and PSNR, then shares at equal PSNR."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/tokens-at-equal-psnr"))
    chosen = parser.parse_args()
    specs = tuple(spec for settings in METHODS.values() for spec in settings)
    with multiprocessing.get_context("spawn").Pool(chosen.workers) as pool:
        pool.map(draw_references, [(w, chosen) for w in range(chosen.workers)])
        pool.map(measure_setting, [(spec, chosen) for spec in specs], chunksize=1)
    samples, _ = measure(plan_of(specs, chosen), lambda done: None)
    points: dict[str, list[tuple[float, float]]] = {}
    print(this_machine(), versions(), sep="\n")
    print(f"{MODEL}, {chosen.steps} steps, {chosen.prompts} captions")
    print("| method | setting | query rows left out | PSNR dB |", "|---|---|---|---|", sep="\n")
    for method, settings in METHODS.items():
        for spec in settings:
            found = [sample["psnr_db"] for sample in samples.of(contender(spec))]
            share, db = share_left_out(spec, chosen.steps), sum(found) / len(found)
            points.setdefault(method, []).append((db, share))
            print(f"| {method} | `{spec}` | {share:.1%} | {db:.1f} |")
    print_shares(points)


def print_shares(points: dict[str, list[tuple[float, float]]]) -> None:
    """Print each method's share at the PSNR of each setting of AsymRnR."""
    levels = sorted({db for name, found in points.items() if "AsymRnR" in name for db, _ in found})
    print("| at PSNR dB |", " | ".join(points), "|")
    print("|---" * (1 + len(points)) + "|")
    for level in levels:
        shares = [read_off(found, level) for found in points.values()]
        cells = ["-" if share is None else f"{share:.1%}" for share in shares]
        print(f"| {level:.1f} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
