"""The command that joins both halves: `tenuto trace` records a run for `tenuto simulate`."""

import argparse
from pathlib import Path

from tenuto.cli_options import SPEC, add_workload


def add_trace(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `tenuto trace`."""
    add_workload(parser)
    parser.add_argument(
        "-t", "--technique", action="append", default=[], metavar="SPEC",
        help=f"{SPEC}; repeat to compose techniques, leave out to record the untouched model",
    )  # fmt: skip
    parser.add_argument("--caption", help="what to draw (default: the first held-out caption)")
    parser.add_argument(
        "--out", type=Path, required=True,
        help="the trace folder; one that a killed recording left is begun anew",
    )  # fmt: skip
    parser.add_argument("--tile-rows", type=int, default=128, help="rows of a tile (default 128)")
    parser.add_argument(
        "--pack-every", type=int, default=1, metavar="N",
        help="pack one in N blocks of 16 rows to count merged tiles (default 1: all)",
    )  # fmt: skip


def trace(chosen: argparse.Namespace) -> int:
    """Record one run."""
    from tenuto.evaluation.generation import load_workload, set_threads
    from tenuto.evaluation.prompts import prompts_for
    from tenuto.evaluation.recording import check_recording, record

    set_threads(chosen.threads)
    techniques = check_recording(chosen.technique, chosen.out)
    if chosen.caption is None and Path(chosen.model).is_dir():
        raise ValueError(
            f"`--caption` must be given for the pipeline folder {chosen.model!r}, got none"
        )
    caption = chosen.caption or prompts_for(chosen.model, "held-out", 1, None)[0]
    workload = load_workload(
        chosen.model, num_steps=chosen.steps, seed=chosen.seed, scheduler=chosen.scheduler
    )
    stats = record(
        workload, techniques, caption, chosen.out,
        tile_rows=chosen.tile_rows, pack_every=chosen.pack_every,
    )  # fmt: skip
    print(stats)
    print(f"wrote {chosen.out}: tenuto simulate {chosen.out} --accelerator exion24")
    return 0
