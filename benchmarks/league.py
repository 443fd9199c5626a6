"""The league table: both embedded models, every rival, every control, ours, in one run.

Fidelity of every prompt first, dealt to worker processes of one thread each; then interleaved
timing alone on the machine. Interrupted, the same command goes on where it stopped.

    python benchmarks/league.py [--quick | --full] [--models emoji-video emoji-image] [--out league]

Writes for each model a result folder with report.html, and over all of them league.parquet (one
row a technique and prompt, with provenance) and league.md (tables, and the gaps at equal time).
"""

import argparse
import multiprocessing
import sys
from dataclasses import replace
from pathlib import Path

import torch

from tenuto.evaluation.compare import compare, measure
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.fronts import gaps
from tenuto.evaluation.generation import load_workload
from tenuto.evaluation.parquet_results import write_parquet
from tenuto.evaluation.prompts import prompts_for
from tenuto.evaluation.ray_workers import on_ray
from tenuto.evaluation.samples import Plan
from tenuto.evaluation.table import result_table
from tenuto.report import write_report

CONTROLS = ("off", "fewer-steps:31", "fewer-steps:20", "fewer-steps:13")
TOKEN_REDUCTION = {  # each at its published setting, where it was published for that medium
    "emoji-video": ("tomesd", "asymrnr", "dito-paper", "orbis-paper"),
    "emoji-image": ("tomesd", "tofu", "sito", "toma", "dito-paper"),
}
CACHE_STYLES = ("toca-style",)
CACHES = (  # each at its own default, or at settings around our speeds
    "taylorseer:interval=2,scope=blocks",
    "taylorseer:interval=3,scope=blocks",
    "taylorseer:interval=5,scope=blocks",
    "fbc",
    "fbc:threshold=0.12",
    "magcache:threshold=0.2",
    "pab",
    "cache-dit",
    "cache-dit:threshold=0.2",
)
MORE = (  # with --full; the hour is for the rows above
    "tofu",
    "sito",
    "toma",
    "asymrnr",
    "orbis-paper",
    "fewer-steps:26",
    "tomesd:ratio=0.5,scope=attn+ffn",
    "duca-style",
    "resca-style",
    "clusca-style",
    "ffn-reuse",
    "taylorseer",
    "fbc:threshold=0.3",
    "magcache",
    "magcache:threshold=0.03",
    "cache-dit:threshold=0.2,taylorseer=true",
)
VIDEO_ONLY = ("fbc", "magcache", "pab")
CALIBRATED = {
    "emoji-video": tuple(
        f"dito:schedule=emoji-video-unipc40-{speed},predict=fitted"
        for speed in ("1.3x", "1.5x", "2x", "2.7x", "3x")
    ),
    "emoji-image": (
        *(
            f"dito:schedule=emoji-image-unipc40-{speed},predict=fitted"
            for speed in ("1.3x", "1.5x", "2x")
        ),
        "fewer-steps:20+dito:schedule=emoji-image-unipc20-1.5x,predict=fitted",
    ),
}


def specs_of(model: str, chosen: argparse.Namespace) -> tuple[str, ...]:
    """Return every row of a model's table.

    diffusers has its caches for the video model's class. What was searched is for one scheduler.
    """
    is_searched = chosen.scheduler in (None, "unipc")
    ours = CALIBRATED.get(model, ()) if is_searched else ()
    reduction = TOKEN_REDUCTION.get(model, ("tomesd",))
    rivals = (*CONTROLS, *reduction, *CACHE_STYLES, *CACHES, *(MORE if chosen.full else ()))
    rivals = tuple(dict.fromkeys(rivals))
    if model != "emoji-video":
        rivals = tuple(s for s in rivals if s.partition(":")[0] not in VIDEO_ONLY)
    return (*rivals, "dito", "orbis", *ours)


QUICK = (
    "off",
    "fewer-steps:20",
    "tomesd",
    "taylorseer:interval=2,scope=blocks",
    "cache-dit",
    "dito",
)


def main() -> None:
    """Measure, time, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["emoji-video", "emoji-image"])
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--scheduler", help="unipc, dpm2m or euler; the model's own is unipc")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster instead of the workers")
    parser.add_argument("--threads", type=int, default=2, help="of torch, while timing")
    parser.add_argument(
        "--runs", type=int, default=3, help="timed runs of each row; 0 times nothing"
    )
    parser.add_argument("--technique", "-t", action="append", help="these rows instead of all")
    parser.add_argument("--out", type=Path, default=Path("league"))
    parser.add_argument("--full", action="store_true", help="more settings of the rivals")
    parser.add_argument("--quick", action="store_true", help="few rows, few prompts: minutes")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.prompts, chosen.runs = min(chosen.prompts, 4), min(chosen.runs, 3)
    chosen.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for model in chosen.models:
        specs = tuple(chosen.technique or (QUICK if chosen.quick else specs_of(model, chosen)))
        results[model] = _league_of(model, specs, chosen)
    write_parquet(results, chosen.out)
    text = "\n\n".join(_tables(model, result) for model, result in results.items())
    (chosen.out / "league.md").write_text(text + "\n", encoding="utf-8")
    print(text, f"\nwrote {chosen.out}", sep="\n")


def _league_of(model: str, specs: tuple[str, ...], chosen: argparse.Namespace) -> dict:
    """Measure one model's rows in worker processes or on a cluster, then time them alone."""
    job = (model, chosen.prompts, (chosen.steps, chosen.scheduler), chosen.out / model)
    if chosen.ray is None:
        _measure_here(job, specs, chosen.workers)
    else:
        torch.set_num_threads(1)
        on_ray(chosen.ray)(_plan(job, specs), lambda done: None)
    torch.set_num_threads(chosen.threads)
    plan = _plan(job, specs)
    result = compare(replace(plan, num_timed_runs=chosen.runs), lambda done: None)
    write_report(plan.folder)
    return result


def _measure_here(job: tuple, specs: tuple[str, ...], num_workers: int) -> None:
    """Measure the rows in processes of this machine."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(num_workers) as pool:
        pool.starmap(_references, [(job, worker, num_workers) for worker in range(num_workers)])
        for spec in pool.imap_unordered(_measure, [(job, spec) for spec in specs]):
            print(f"{job[0]}: {spec}", file=sys.stderr, flush=True)


def _plan(job: tuple, specs: tuple[str, ...]) -> Plan:
    model, num_prompts, (num_steps, scheduler), folder = job
    return Plan(
        workload=load_workload(model, num_steps=num_steps, scheduler=scheduler),
        contenders=tuple(contender(spec) for spec in specs),
        prompts=prompts_for(model, "held-out", num_prompts, None),
        folder=folder,
        num_timed_runs=0,
        command="python " + " ".join(sys.argv),
        notes=(("split", "held-out"),),
    )


def _references(job: tuple, worker: int, num_workers: int) -> None:
    """Draw this worker's share of the untouched samples."""
    torch.set_num_threads(1)
    measure(_plan(job, ()), lambda done: None, range(worker, job[1], num_workers))


def _measure(task: tuple) -> str:
    """Measure one row."""
    job, spec = task
    torch.set_num_threads(1)
    measure(_plan(job, (spec,)), lambda done: None)
    return spec


def _tables(model: str, result: dict) -> str:
    lines = [f"## {model}", "", "```", result_table(result), "```", ""]
    for axis, title in (("speedup", "measured time"), ("macs_ratio", "operations")):
        found = gaps(result["rows"], axis)
        if not found:
            continue
        lines += [
            f"PSNR ahead of each rival at equal {title}, in dB (`-`: never that fast):",
            "",
        ]
        rivals = sorted({gap.rival for gap in found})
        lines.append(f"| ours | at | PSNR | {' | '.join(rivals)} |")
        lines.append("|" + "---|" * (3 + len(rivals)))
        for row in dict.fromkeys((g.ours, g.speed, g.ours_db) for g in found):
            own = {g.rival: g.gap_db for g in found if g.ours == row[0]}
            cells = ["-" if own[r] is None else f"{own[r]:+.1f}" for r in rivals]
            lines.append(f"| {row[0]} | {row[1]:.2f}x | {row[2]:.1f} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
