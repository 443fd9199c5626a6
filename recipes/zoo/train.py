"""Train an embedded model, from scratch or from where its folder stands.

    python -m recipes.zoo.train video --out runs/video --minutes 90
    python -m recipes.zoo.train video --out runs/video --tokens 6e7      (longer: resumes)

The run may be killed at any moment; the next start goes on from the last checkpoint, to the bit.
"""

import argparse
import signal
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch

from recipes.zoo import checkpoint
from recipes.zoo.plan import TASKS
from recipes.zoo.plot import plot_log
from recipes.zoo.provenance import provenance
from recipes.zoo.run import Run, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop, log and save; seconds are of processor time, so pauses are free.

    Checkpoints fall on logged steps, so that a resumed log has the rows of an uninterrupted one.
    """

    log_steps: int = 25
    max_steps: float
    max_cpu_s: float
    save_cpu_s: float


def train(run: Run, task_key: str, folder: Path, limits: Limits) -> None:
    """Advance `run` until a limit, its token budget or a termination signal."""
    asked_to_stop = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_stop.append(True))
    start = saved = logged = time.process_time()
    losses: dict[str, list[float]] = defaultdict(list)
    tokens = run.position.tokens
    is_over = False
    while not is_over:
        taken = run.advance()
        losses[taken["grid"]].append(taken["loss"])
        if run.position.step % limits.log_steps and run.position.step < limits.max_steps:
            continue
        now = time.process_time()
        speed = (run.position.tokens - tokens) / (now - logged)
        checkpoint.append_log(folder, _log_row(run, taken, losses) | {"tokens_per_cpu_s": speed})
        losses.clear()
        logged, tokens = now, run.position.tokens
        is_over = (
            bool(asked_to_stop)
            or run.position.step >= limits.max_steps
            or now - start >= limits.max_cpu_s
            or run.position.tokens >= run.settings.total_tokens
        )
        if is_over or now - saved >= limits.save_cpu_s:
            checkpoint.save(run, task_key, folder)
            saved = now
    plot_log(folder)


def _log_row(run: Run, taken: dict, losses: dict[str, list[float]]) -> dict:
    every = [loss for values in losses.values() for loss in values]
    return {
        "step": run.position.step,
        "samples": run.position.samples,
        "tokens": run.position.tokens,
        "loss": sum(every) / len(every),
        "loss_by_grid": {grid: sum(values) / len(values) for grid, values in losses.items()},
        "grad_norm": taken["grad_norm"],
        "lr": taken["lr"],
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=sorted(TASKS))
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="of processor time")
    parser.add_argument("--steps", type=float, default=float("inf"), help="stop at this step")
    parser.add_argument("--tokens", type=float, help="length of the whole run (default 4e7)")
    parser.add_argument("--save-minutes", type=float, default=3.0, help="of processor time")
    parser.add_argument("--log-steps", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="torch.compile each block")
    parser.add_argument("--tiny", action="store_true", help="two thin layers, for tests")
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    args = _parse()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    if (args.out / checkpoint.CHECKPOINT).exists():
        run, task_key = checkpoint.load(args.out, args.tokens)
        if task_key != args.model:
            raise SystemExit(f"{args.out} holds a run of {task_key!r}, not of {args.model!r}")
    else:
        size = {"num_layers": 2, "num_heads": 2, "is_tiny": True} if args.tiny else {}
        length = {} if args.tokens is None else {"total_tokens": args.tokens}
        run = Run(TASKS[args.model], Settings(seed=args.seed, **size, **length))
        (args.out / checkpoint.LOG).unlink(missing_ok=True)
    commit = provenance()["commit"]
    if run.commits[-1:] != [commit]:
        run.commits.append(commit)
    if args.compile:
        run.compile_blocks()
    limits = Limits(
        log_steps=args.log_steps,
        max_steps=args.steps,
        max_cpu_s=args.minutes * 60 * args.threads,
        save_cpu_s=args.save_minutes * 60 * args.threads,
    )
    train(run, args.model, args.out, limits)


if __name__ == "__main__":
    main()
