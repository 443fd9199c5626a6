"""Choose tenuto1's sizes: the fastest machine within another one's area and power.

Coordinate descent over cores, memory, special-function units, matching engine and predictor; the
measure is the geometric mean of the time over the workloads below, all techniques on; the machine
must stay within the area, and its power on any of them within the other's highest. All of it is
simulated.

    python benchmarks/design_search.py [--budget exion24|a100]
"""

import argparse
import math
from collections.abc import Mapping

from tenuto.accelerators import load, simulate
from tenuto.accelerators.area import area_of
from tenuto.accelerators.sweep import changed
from tenuto.hardware import Chip
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Trace

WORKLOADS = ("edge", "mdm", "dit", "stable-diffusion", "flux-1024", "cogvideox-2b")
MIB = 2**20
CHOICES: dict[str, tuple[int, ...]] = {
    "sram.capacity_bytes": tuple(size * MIB for size in (8, 16, 24, 32, 48, 64, 96, 128, 192)),
    "vector.elements_per_cycle": (512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288),
    "vector.exponentials_per_cycle": (256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144),
    "matcher.macs_per_cycle": (512, 1024, 2048, 4096, 8192, 16384),
    "matcher.gain_lanes": (256, 512, 1024, 2048, 4096, 8192, 16384),
    "predictor.macs_per_cycle": (49152, 98304, 147456, 196608, 294912, 393216, 786432),
    "compaction.columns_per_cycle": (64, 128, 256, 384, 512, 1024, 2048),
    "num_cores": (
        8,
        12,
        16,
        20,
        22,
        24,
        26,
        28,
        30,
        32,
        36,
        40,
        48,
        56,
        64,
        80,
        96,
        112,
        128,
        144,
        160,
        176,
        192,
        208,
    ),
}
START = {
    "sram.capacity_bytes": 24 * MIB, "vector.elements_per_cycle": 1024,
    "vector.exponentials_per_cycle": 512, "matcher.macs_per_cycle": 2048,
    "matcher.gain_lanes": 2048, "predictor.macs_per_cycle": 98304,
    "compaction.columns_per_cycle": 128, "num_cores": 16,
}  # fmt: skip
"""Within both budgets; cores come last, so that they take what the other units leave."""
BUDGETS = {"exion24": ("gddr6", 960e9), "a100": ("hbm2e", 2039e9)}


def score(chip: Chip, traces: list[Trace], area_mm2: float, power_w: float) -> float:
    """Return the geometric mean of seconds; infinite beyond the budget."""
    if sum(area_of(chip).values()) > area_mm2:
        return math.inf
    reports = [simulate(trace, chip) for trace in traces]
    if max(report.mean_power_w for report in reports) > power_w:
        return math.inf
    return math.exp(sum(math.log(report.seconds) for report in reports) / len(reports))


def descend(start: Chip, traces: list[Trace], area_mm2: float, power_w: float) -> Mapping[str, int]:
    """Improve one field after the other until none helps."""
    best = dict(START)
    lowest = score(changed(start, best), traces, area_mm2, power_w)
    improved = True
    while improved:
        improved = False
        for name, values in CHOICES.items():
            for value in values:
                found = score(changed(start, {**best, name: value}), traces, area_mm2, power_w)
                if found < lowest * (1 - 1e-4):
                    best, lowest, improved = {**best, name: value}, found, True
    return best


def main() -> None:
    """Search, and print the machine that was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", choices=sorted(BUDGETS), default="exion24")
    chosen = parser.parse_args()
    traces = [scaled_trace(name, "composed") for name in WORKLOADS]
    rivals = [simulate(scaled_trace(name, "exion"), chosen.budget) for name in WORKLOADS]
    area = rivals[0].area_mm2
    power = max(report.mean_power_w for report in rivals)
    kind, bandwidth = BUDGETS[chosen.budget]
    start = load("tenuto1")
    assert isinstance(start, Chip)
    start = changed(start, {"dram.kind": kind, "dram.peak_bytes_per_s": bandwidth})
    best = descend(start, traces, area, power)
    chip = changed(start, best)
    reports = [simulate(trace, chip) for trace in traces]
    print(f"budget of {chosen.budget}: {area:.1f} mm2, {power:.1f} W (simulated)")
    for name, value in best.items():
        print(f"  {name} = {value}")
    highest = max(report.mean_power_w for report in reports)
    print(f"found: {reports[0].area_mm2:.1f} mm2, {highest:.1f} W")
    for name, report, rival in zip(WORKLOADS, reports, rivals, strict=True):
        speedup, energy = rival.seconds / report.seconds, report.energy_j / rival.energy_j
        print(f"  {name:<20}{speedup:6.2f}x faster, {energy:6.1%} of the energy")


if __name__ == "__main__":
    main()
