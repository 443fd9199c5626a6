"""How much slower a run is while it is recorded: CPU seconds with and without, in turn.

Needs the embedded video model. Prediction: within 25 % for token reduction and FFN-Reuse, whose
masks are few; above it for eager prediction with every block packed, as each step packs new masks.

    python benchmarks/trace_overhead.py [--steps 8] [--runs 3] [--pack-every 1]
"""

import argparse
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import Workload, load_workload
from tenuto.evaluation.recording import record
from tenuto.integration.accelerate import accelerate

SPECS = (
    "off",
    "orbis",
    "ffn-reuse:granularity=element",
    "orbis+ffn-reuse",
    "eager",
    "ffn-reuse:granularity=element+eager",
)
CAPTION = "a frog spins over the sea"


def plain_s(workload: Workload, spec: str) -> float:
    """Return the CPU seconds of a run that is not recorded."""
    techniques = contender(spec).techniques
    start = time.process_time()
    with accelerate(workload.pipe, *techniques) if techniques else nullcontext():
        workload.generate(CAPTION, 0)
    return time.process_time() - start


def recorded_s(workload: Workload, spec: str, pack_every: int) -> float:
    """Return the CPU seconds of the same run while it is recorded."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        techniques = contender(spec).techniques
        record(workload, techniques, CAPTION, Path(folder) / "run", pack_every=pack_every)
    return time.process_time() - start


def main() -> None:
    """Print one line a spec."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pack-every", type=int, default=1)
    chosen = parser.parse_args()
    workload = load_workload("emoji-video", num_steps=chosen.steps)
    print("| spec | plain, s | recorded, s | slower |", "|---|---|---|---|", sep="\n")
    for spec in SPECS:
        recorded_s(workload, spec, chosen.pack_every)  # compiles the packer
        pairs = [
            (plain_s(workload, spec), recorded_s(workload, spec, chosen.pack_every))
            for _ in range(chosen.runs)
        ]
        plain, recorded = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"| {spec} | {plain:.2f} | {recorded:.2f} | {recorded / plain - 1:.0%} |", flush=True)


if __name__ == "__main__":
    main()
