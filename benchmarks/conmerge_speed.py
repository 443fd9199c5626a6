"""Tiles of 16 x 16 packed by ConMerge in a second on one core, compiled and warm.

Seconds of the processor, not of the clock: other processes take no part in them.

python benchmarks/conmerge_speed.py [--runs 7]
"""

import argparse
from statistics import median
from time import process_time

import numpy as np

from tenuto.evaluation.machine import this_machine
from tenuto.golden.conmerge import pack

SPARSITIES = (0.0, 0.5, 0.70, 0.80, 0.90, 0.95, 0.97, 1.0)

SHAPE = (256, 1024)


def main() -> None:
    """Measure masks of 256 x 1024 outputs at each sparsity."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    chosen = parser.parse_args()
    print(this_machine())
    print("| sparsity | tiles | condensed | merged | seconds | tiles/s | condensed/s |")
    print("|---|---|---|---|---|---|---|")
    for sparsity in SPARSITIES:
        mask = np.random.default_rng(0).random(SHAPE) >= sparsity
        packing = pack(mask)
        seconds = median(_seconds(mask) for _ in range(chosen.runs))
        dense, condensed = packing.num_dense_tiles, packing.num_condensed_tiles
        print(
            f"| {sparsity:.0%} | {dense} | {condensed} | {packing.num_tiles} | {seconds:.3f} | "
            f"{dense / seconds:,.0f} | {condensed / seconds:,.0f} |",
            flush=True,
        )


def _seconds(mask: np.ndarray) -> float:
    start = process_time()
    pack(mask)
    return process_time() - start


if __name__ == "__main__":
    main()
