"""Tiles that ConMerge leaves of random and of column-clustered masks, and how near the fewest.

Counts, not times: the same numbers on every machine. With a recorded trace, instead the blocks of
real masks that it kept, beside random and clustered ones of the same shapes and densities.

    python benchmarks/conmerge_tiles.py [--masks 100]
    tenuto trace --model emoji-video -t ffn-reuse+eager --steps 8 --out run
    python benchmarks/conmerge_tiles.py --trace run
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenuto.golden.conmerge import pack
from tenuto.golden.conmerge_optimum import fewest_tiles
from tenuto.traces import Part, open_sample, sample_names

SPARSITIES = (0.70, 0.80, 0.90, 0.95, 0.97)
COLUMN_SPREAD = 0.52
"""First parameter of the Beta distribution of column densities; small means clustered."""

Draw = Callable[[np.random.Generator, float, tuple[int, int]], NDArray[np.bool_]]


def random_mask(
    generator: np.random.Generator, density: float, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Every output is needed with the same probability."""
    return generator.random(shape) < density


def clustered_mask(
    generator: np.random.Generator, density: float, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Columns have densities of their own, whose mean is `density`."""
    spread = COLUMN_SPREAD, COLUMN_SPREAD * (1 - density) / density
    return generator.random(shape) < generator.beta(*spread, shape[1])


DRAWS: dict[str, Draw] = {"random": random_mask, "column-clustered": clustered_mask}


def print_tiles() -> None:
    """Print tile counts of 256 x 1024 masks: dense, condensed, merged."""
    print("| sparsity | mask | dense | condensed | merged |", "|---|---|---|---|---|", sep="\n")
    for name, draw in DRAWS.items():
        for sparsity in SPARSITIES:
            packing = pack(draw(np.random.default_rng(0), 1 - sparsity, (256, 1024)))
            counts = (packing.num_dense_tiles, packing.num_condensed_tiles, packing.num_tiles)
            print(f"| {sparsity:.0%} | {name} |", " | ".join(map(str, counts)), "|")


def print_quality(num_masks: int) -> None:
    """Print how near the fewest tiles come packings of masks that can be searched through."""
    print("| array | mask | sparsity | fewest | packed | more | at the fewest |")
    print("|---|---|---|---|---|---|---|")
    for rows, lanes, columns in ((3, 2, 10), (4, 2, 8)):
        for name, draw in DRAWS.items():
            for sparsity in (0.5, 0.7, 0.9):
                generator = np.random.default_rng(0)
                shape = (rows, columns)
                masks = [draw(generator, 1 - sparsity, shape) for _ in range(num_masks)]
                fewest = np.array([fewest_tiles(mask, lanes) for mask in masks])
                packed = np.array([pack(mask, rows, lanes).num_tiles for mask in masks])
                more, best = packed.sum() / fewest.sum() - 1, np.mean(packed == fewest)
                print(
                    f"| {rows} x {lanes}, {columns} columns | {name} | {sparsity:.0%} | "
                    f"{fewest.sum()} | {packed.sum()} | {more:.1%} | {best:.0%} |",
                    flush=True,
                )


def print_recorded(folder: Path) -> None:
    """Print tile counts of a recorded trace's sampled blocks, by part, and of drawn ones."""
    by_part: dict[Part, list[NDArray[np.bool_]]] = {}
    for group in sample_names(folder, "conmerge"):
        part = Part(int(open_sample(folder, f"{group}/place")[2]))
        by_part.setdefault(part, []).append(open_sample(folder, f"{group}/mask"))
    print("| masks of | blocks | sparsity | mask | dense | condensed | merged |")
    print("|---|---|---|---|---|---|---|")
    for part, masks in by_part.items():
        generator = np.random.default_rng(0)
        sparsity = 1 - np.mean([mask.mean() for mask in masks])
        kinds = {"recorded": masks}
        for name, draw in DRAWS.items():
            kinds[name] = [draw(generator, _inside(mask.mean()), mask.shape) for mask in masks]
        for name, drawn in kinds.items():
            packings = [pack(mask) for mask in drawn]
            dense = sum(packing.num_dense_tiles for packing in packings)
            counts = (
                dense,
                sum(packing.num_condensed_tiles for packing in packings),
                sum(packing.num_tiles for packing in packings),
            )
            columns = " | ".join(f"{count} ({count / dense:.0%})" for count in counts[1:])
            print(f"| {part.name.lower()} | {len(masks)} | {sparsity:.0%} | {name} | {dense} | "
                  f"{columns} |")  # fmt: skip


def _inside(density: float) -> float:
    """Keep densities within what a Beta distribution can have as its mean."""
    return float(np.clip(density, 1e-6, 1 - 1e-6))


def main() -> None:
    """Print both tables, or that of a trace."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--masks", type=int, default=100, help="masks for each line of quality")
    parser.add_argument("--trace", type=Path, help="a recorded trace with samples")
    chosen = parser.parse_args()
    if chosen.trace is not None:
        print_recorded(chosen.trace)
        return
    print_tiles()
    print()
    print_quality(chosen.masks)


if __name__ == "__main__":
    main()
