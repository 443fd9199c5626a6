"""Pack random masks with the golden `pack`: what sparse masks occupy, for scaled traces.

Masks are 256 x 1024, live elements anywhere ("iid") or mostly in popular columns ("clustered": the
chance of a column's elements is logistic around a normal draw, spread 1.5). Rewrites
src/tenuto/traces/data/packing.json.

    python benchmarks/packing_table.py
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenuto.golden.conmerge import pack

FILE = Path(__file__).parents[1] / "src/tenuto/traces/data/packing.json"
SHAPE = (256, 1024)
DENSITIES = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 0.9)
SPREAD = 1.5
BLOCK = 16


def mask_of(density: float, style: str, seed: int = 0) -> NDArray[np.bool_]:
    """Draw a mask of an expected density."""
    rng = np.random.default_rng(seed)
    if style == "iid":
        return rng.random(SHAPE) < density
    popularity = SPREAD * rng.standard_normal(SHAPE[1])
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = (1 / (1 + np.exp(-(popularity + middle)))).mean()
        low, high = (middle, high) if mean < density else (low, middle)
    return rng.random(SHAPE) < 1 / (1 + np.exp(-(popularity + low)))


def shares(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return (density, live columns of blocks, condensed tiles, merged tiles), as shares."""
    packing = pack(mask)
    blocks = mask.reshape(-1, BLOCK, mask.shape[1])
    dense = packing.num_dense_tiles
    return (
        float(mask.mean()),
        float(blocks.any(axis=1).mean()),
        packing.num_condensed_tiles / dense,
        packing.num_tiles / dense,
    )


def main() -> None:
    """Pack every mask and write the table."""
    styles = {}
    for style in ("iid", "clustered"):
        rows = [shares(mask_of(density, style)) for density in DENSITIES]
        columns = zip(*[(0.0,) * 4, *rows, (1.0,) * 4], strict=True)
        names = ("density", "columns", "condensed", "merged")
        styles[style] = {
            name: [round(v, 4) for v in values] for name, values in zip(names, columns, strict=True)
        }
        print(style, styles[style])
    made_by = "benchmarks/packing_table.py with tenuto.golden.conmerge.pack, one mask a density"
    FILE.write_text(json.dumps({"made_by": made_by, "styles": styles}, indent=1) + "\n")


if __name__ == "__main__":
    main()
