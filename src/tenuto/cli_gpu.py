"""The `tenuto gpu-table` command: measures a GPU for `tenuto simulate`."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenuto.evaluation.gpu_times import Board


def add_gpu_table(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `tenuto gpu-table`."""
    parser.add_argument("--out", type=Path, required=True, help="the table, a .json file")
    parser.add_argument(
        "--trace", action="append", metavar="NAME",
        help="workload or trace folder whose shapes are timed; repeat for more (default dit)",
    )  # fmt: skip
    parser.add_argument("--device", default="cuda", help="of torch: cuda (default), cuda:1, cpu")
    parser.add_argument(
        "--dtype", default="float16", help="float16 (default), bfloat16 or float32"
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=20, help="timed calls each (default 20)")
    parser.add_argument(
        "--like", metavar="GPU",
        help="take peaks, power and die area of a100, rtx6000ada, orin-nano or h100",
    )  # fmt: skip
    parser.add_argument("--idle-w", type=float, help="without --like: power doing nothing")
    parser.add_argument("--board-w", type=float, help="without --like: power limit")
    parser.add_argument("--die-mm2", type=float, help="without --like: area of the die")


def run_gpu_table(chosen: argparse.Namespace) -> int:
    """Measure, write the table and say what was found."""
    from tqdm import tqdm

    from tenuto.accelerators.gpu_table import gpu_from, write_gpu_table
    from tenuto.evaluation.gpu_times import Setting, measured, shapes_of
    from tenuto.traces.by_name import trace_named

    if chosen.out.suffix != ".json" or not chosen.out.parent.is_dir():
        raise ValueError(
            f"`--out` must be a .json file in a folder that exists, got {str(chosen.out)!r}"
        )
    setting = Setting(
        name=chosen.out.stem, device=chosen.device, dtype=chosen.dtype, repeats=chosen.repeats
    )
    board = _board(chosen)
    traces = [trace_named(name, "dense") for name in chosen.trace or ["dit"]]
    with tqdm(total=len(shapes_of(traces)), file=sys.stderr, unit="operation") as bar:

        def step(kind: str) -> None:
            bar.set_description_str(kind)
            bar.update()

        table = measured(traces, setting, board, step)
    gpu = gpu_from(table)
    write_gpu_table(table, chosen.out)
    print(f"{table.device}, torch {table.torch}: launch {1e6 * table.launch_s:.1f} us")
    for kind, curve in (("matmul", gpu.matmul), ("attention", gpu.attention),
                        ("elementwise", gpu.elementwise)):  # fmt: skip
        assert curve is not None
        shares = f"{min(curve.efficiency):.1%} to {max(curve.efficiency):.1%} of the peak"
        print(f"  {kind}: {len(curve.work)} sizes, {shares}")
    print(f"use it: tenuto simulate TRACE --accelerator exion24 --baseline {chosen.out}")
    return 0


def _board(chosen: argparse.Namespace) -> "Board":
    from tenuto.accelerators.machines import known_gpu
    from tenuto.evaluation.gpu_times import Board

    like = known_gpu(chosen.like) if chosen.like is not None else None
    given = {name: getattr(chosen, name) for name in ("idle_w", "board_w", "die_mm2")}
    missing = [f"`--{name.replace('_', '-')}`" for name, value in given.items() if value is None]
    if like is None and missing:
        raise ValueError(f"{', '.join(missing)} must be given without `--like`, got none")
    own = {name: getattr(like, name) if value is None else value for name, value in given.items()}
    return Board(like=like, **own)
