"""Fidelity of FFN-Reuse against what it skips: sparsity, interval, granularity, choice of marks.

Every sample is appended to a file in the result folder at once; the same command again goes on
where it stopped. Without --runs nothing is timed. "FFN skipped" is the share of the feed-forwards'
multiply-accumulates that was not done, with what FFN-Reuse adds charged to it.

    python benchmarks/ffn_reuse_fidelity.py [--prompts 4] [--steps 20] [--group element column]
        [--runs 5] [--out ffn-reuse] [--model emoji-video]
"""

import argparse
from pathlib import Path

from tenuto.evaluation.compare import Plan, compare
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import Workload, load_workload
from tenuto.evaluation.machine import this_machine, versions
from tenuto.evaluation.prompts import prompts_for
from tenuto.integration.families import family_of
from tenuto.integration.feed_forward import feed_forwards
from tenuto.integration.macs import MacCounter

GROUPS = {
    "control": ["fewer-steps:16", "fewer-steps:13"],
    "element": [
        f"ffn-reuse:sparsity={sparsity},interval={interval},granularity=element,select={select}"
        for select in ("magnitude", "change")
        for sparsity, interval in ((0.7, 4), (0.9, 3), (0.95, 4), (0.95, 10))
    ],
    "column": [
        f"ffn-reuse:sparsity={sparsity},interval={interval},granularity=column,select={select}"
        for select in ("magnitude", "change")
        for sparsity, interval in ((0.5, 2), (0.5, 3), (0.8, 2))
    ],
    "tile": [
        f"ffn-reuse:sparsity=0.5,interval=3,granularity=tile,select={select}"
        for select in ("magnitude", "change")
    ],
    "composed": [
        "dito:ratio=0.5",
        "dito:ratio=0.5+ffn-reuse:sparsity=0.9,interval=4,granularity=element,select=change",
        "dito:ratio=0.5+ffn-reuse:sparsity=0.5,interval=4,select=change",
        "dito",
        "dito+ffn-reuse:sparsity=0.9,interval=3,granularity=element,select=change",
    ],
}


def ffn_share(work: Workload, prompt: str) -> float:
    """Return the feed-forwards' share of an untouched sample's multiply-accumulates."""
    model = work.pipe.transformer
    rows = family_of(model).blocks_of(model)
    layers = [found for _, found in feed_forwards(rows, type(model).__name__)]
    counter = MacCounter(model)
    counter.start()
    try:
        work.generate(prompt, 0, 1)
    finally:
        table = counter.stop()
    return sum(table.within(part) for one in layers for part in (one.up, one.down)) / table.total


def main() -> None:
    """Measure the chosen groups and print their table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="emoji-video")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--group", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--runs", type=int, default=0, help="timed runs of each row")
    parser.add_argument("--out", type=Path, default=Path("ffn-reuse"))
    chosen = parser.parse_args()
    work = load_workload(chosen.model, num_steps=chosen.steps)
    prompts = prompts_for(chosen.model, "held-out", chosen.prompts, None)
    share = ffn_share(work, prompts[0])
    specs = [spec for group in chosen.group for spec in GROUPS[group]]
    plan = Plan(
        workload=work,
        contenders=tuple(contender(spec) for spec in specs),
        prompts=prompts,
        folder=chosen.out,
        num_timed_runs=chosen.runs,
    )
    result = compare(plan, lambda done: print(".", end="", flush=True))
    print("", this_machine(), versions(), sep="\n")
    print(
        f"{chosen.model}, {chosen.steps} steps, {chosen.prompts} captions, FFN {share:.1%} of MACs"
    )
    print("| setting | PSNR mean / median / worst | MACs | FFN skipped | time | state |")
    print("|---|---|---|---|---|---|")
    for row in result["rows"]:
        print(_line(row, share))


def _line(row: dict, share: float) -> str:
    known = [psnr for psnr in row["psnr_per_prompt"] if psnr is not None]
    psnr = "identical"
    if known:
        psnr = f"{row['psnr_db']:.1f} / {row['psnr_median_db']:.1f} / {min(known):.1f}"
    macs = row["macs_ratio"]
    is_reuse = row["technique"].startswith("ffn-reuse")
    skipped = f"{(1 - 1 / macs) / share:.1%}" if is_reuse and macs else "-"
    time = "-" if row["speedup"] is None else f"{row['speedup']:.2f}x"
    state = row["state_bytes_peak"]
    held = "-" if state is None else f"{state / 2**20:.1f} MiB"
    return f"| {row['technique']} | {psnr} | {macs or 1:.2f}x | {skipped} | {time} | {held} |"


if __name__ == "__main__":
    main()
