"""Peak memory of an accelerated run against the untouched one, each in a process of its own.

The peak is the process's largest resident set (kernel's count), less what it held before the run
with the model loaded and warmed up by two steps: activations and state, and what the allocator
keeps of them. "State" is what tenuto itself counts.

    python benchmarks/peak_memory.py [--model emoji-video] [--steps 40] [-t SPEC ...]
"""

import argparse
import multiprocessing
import resource
from dataclasses import dataclass

import torch

from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import load_workload
from tenuto.evaluation.machine import this_machine, versions
from tenuto.evaluation.prompts import prompts_for

SPECS = (
    "off",
    "dito",
    "dito:ratio=0.5",
    "dito:ratio=0.5,predict=none",
    "orbis",
    "orbis-paper",
    "ffn-reuse",
    "ffn-reuse:sparsity=0.5,granularity=column",
    "dito+ffn-reuse:interval=4",
    "tomesd",
    "taylorseer",
    "fbc",
)
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What one run took, in bytes."""

    spec: str
    loaded: int
    added: int
    state: int | None


def peak_of(task: tuple[str, str, int]) -> Peak:
    """Generate one sample under a contender and read the process's peak."""
    spec, model, num_steps = task
    torch.set_num_threads(1)
    work = load_workload(model, num_steps=num_steps)
    prompt = prompts_for(model, "held-out", 1, None)[0]
    work.generate(prompt, 0, 2)
    loaded = _peak_bytes()
    chosen = contender(spec)
    if chosen.prepare is not None:
        chosen.prepare(work)
    with chosen.applied(work.pipe) as stats_of:
        work.generate(prompt, 0, chosen.num_steps)
        stats = stats_of()
    state = None if stats is None else stats.state_bytes_peak
    return Peak(spec=spec, loaded=loaded, added=_peak_bytes() - loaded, state=state)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure the chosen rows, one process after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="emoji-video")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--technique", "-t", action="append", help="these rows instead of all")
    chosen = parser.parse_args()
    tasks = [(spec, chosen.model, chosen.steps) for spec in chosen.technique or SPECS]
    print(this_machine(), versions(), sep="\n")
    print(f"{chosen.model}, {chosen.steps} steps, one sample")
    print(
        "| row | loaded MiB | peak above it MiB | of it state MiB |", "|---|---|---|---|", sep="\n"
    )
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for peak in pool.imap(peak_of, tasks, chunksize=1):
            state = "-" if peak.state is None else f"{peak.state / MIB:.1f}"
            print(
                f"| {peak.spec} | {peak.loaded / MIB:.0f} | {peak.added / MIB:.1f} | {state} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
