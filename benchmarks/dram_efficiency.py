"""Fit the fast DRAM mode: bandwidth of runs of bytes at random places, by the bank-level model.

Rewrites src/tenuto/accelerators/data/dram.json.

    python benchmarks/dram_efficiency.py
"""

import json
from pathlib import Path

import numpy as np

from tenuto.accelerators.dram_banks import BURST_BYTES, TIMINGS, DramTiming, read_cycles

FILE = Path(__file__).parents[1] / "src/tenuto/accelerators/data/dram.json"
RUN_BYTES = [32 * 2**power for power in range(16)]
NUM_BURSTS = 100_000
SPACE_BYTES = 2**30


def efficiency(timing: DramTiming, run_bytes: int, num_bursts: int = NUM_BURSTS) -> float:
    """Return the share of the peak that random runs of this length reach."""
    bursts = run_bytes // BURST_BYTES
    num_runs = max(1, num_bursts // bursts)
    rng = np.random.default_rng(run_bytes)
    starts = rng.integers(0, SPACE_BYTES // BURST_BYTES, num_runs)[:, None]
    addresses = ((starts + np.arange(bursts)) * BURST_BYTES).ravel()
    cycles = read_cycles(timing, addresses)
    return len(addresses) * BURST_BYTES / cycles / timing.peak_bytes_per_cycle


def main() -> None:
    """Fit every kind and write the table."""
    kinds = {
        kind: {
            "source": timing.source,
            "run_bytes": RUN_BYTES,
            "efficiency": [round(efficiency(timing, run), 4) for run in RUN_BYTES],
        }
        for kind, timing in TIMINGS.items()
    }
    made_by = "benchmarks/dram_efficiency.py with tenuto.accelerators.dram_banks"
    FILE.write_text(json.dumps({"made_by": made_by, "kinds": kinds}, indent=1) + "\n")
    for kind, row in kinds.items():
        print(kind, dict(zip(row["run_bytes"], row["efficiency"], strict=True)))


if __name__ == "__main__":
    main()
