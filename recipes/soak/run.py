"""Soak: many generations with random settings, resolutions, steps, prompts, orders of on and off.

    python -m recipes.soak.run [--generations 1000] [--seed 0] [--out soak.jsonl] [--life 17]

Generations come in lives of 25: each begins with freshly made tiny diffusers models, and draws all
that happens from its own number, so that `--life N` repeats a loss by itself. In a life models are
accelerated, paused, reset, broken off and restored in any order. Checked, and counted as lost:

* every tenth generation with everything off, against a model that was never accelerated: every bit;
* every fifth accelerated one, against the same settings on a fresh model: every bit;
* every output is finite and of the right shape; nothing but tenuto's own refusals is raised;
* the bytes that Python holds do not grow with the number of generations.

A life that was finished is in the output file and is not repeated; exit code 1 on a loss.
"""

import argparse
import gc
import json
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from recipes.soak.lives import GENERATIONS_OF_A_LIFE, live

MOST_TRACED_GROWTH_BYTES = 1024
"""A generation, over the second half of a run of at least `FEWEST_FOR_SLOPE` generations."""
FEWEST_FOR_SLOPE = 200


def slope(points: list[tuple[float, float]]) -> float:
    """Return the least-squares slope."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def memory() -> tuple[int, int]:
    """Return bytes that Python holds and bytes of the process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return tracemalloc.get_traced_memory()[0], pages * 4096


def finished_lives(out: Path, seed: int) -> dict[int, dict[str, Any]]:
    """Read the lives that an earlier run finished."""
    lines = out.read_text().splitlines() if out.exists() else []
    return {row["life"]: row for row in map(json.loads, lines) if row["seed"] == seed}


def main() -> int:
    """Run the lives that are missing; say how many were tried and how many were lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--life", type=int, help="this one alone, written nowhere")
    parser.add_argument("--out", type=Path, default=Path("soak.jsonl"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    tracemalloc.start()
    done = {} if chosen.life is not None else finished_lives(chosen.out, chosen.seed)
    lives = [chosen.life]
    if chosen.life is None:
        lives = list(range(-(-chosen.generations // GENERATIONS_OF_A_LIFE)))
    workloads: dict[str, Any] = {}
    with torch.no_grad():
        for life in lives:
            if life in done:
                continue
            start, counts = perf_counter(), Counter()
            lost = live(chosen.seed, life, workloads, counts)
            traced, resident = memory()
            done[life] = {
                "seed": chosen.seed, "life": life, "lost": lost, "counts": counts,
                "traced_bytes": traced, "resident_bytes": resident, "this_run": True,
                "seconds": round(perf_counter() - start, 2),
            }  # fmt: skip
            if chosen.life is None:
                with chosen.out.open("a") as file:
                    file.write(json.dumps({**done[life], "this_run": False}) + "\n")
            print(f"life {life}: {lost} lost, {done[life]['seconds']} s", file=sys.stderr)
    return conclude([done[life] for life in lives])


def conclude(rows: list[dict[str, Any]]) -> int:
    """Print the figures; return 1 on a loss or where memory grows."""
    tried, lost = len(rows) * GENERATIONS_OF_A_LIFE, sum(row["lost"] for row in rows)
    counts = sum((Counter(row["counts"]) for row in rows), Counter())
    print(f"{tried} generations, {lost} lost; {sum(row['seconds'] for row in rows):.0f} s")
    print(", ".join(f"{what} {number}" for what, number in sorted(counts.items())))
    own = [row for row in rows if row["this_run"]]  # memory of other processes does not compare
    later = own[len(own) // 2 :]
    grows = False
    for what in ("traced_bytes", "resident_bytes"):
        points = [(i * GENERATIONS_OF_A_LIFE, row[what]) for i, row in enumerate(later)]
        growth = slope(points) if len(points) > 1 else 0.0
        print(f"{what}: {growth:+,.0f} a generation over the last {len(later)} lives")
        is_long = len(later) * GENERATIONS_OF_A_LIFE >= FEWEST_FOR_SLOPE / 2
        grows |= what == "traced_bytes" and is_long and growth > MOST_TRACED_GROWTH_BYTES
    if grows:
        print(f"LOST: Python's memory grows by more than {MOST_TRACED_GROWTH_BYTES} bytes")
    return int(bool(lost) or grows)


if __name__ == "__main__":
    sys.exit(main())
