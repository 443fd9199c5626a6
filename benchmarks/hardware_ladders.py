"""Print the hardware targets H1 to H7: ladders, ratios to GPUs, shares, and what the papers say.

Everything is simulated but the columns marked quoted (papers) and the wall times of H7 (measured).

    python benchmarks/hardware_ladders.py [--only H1 H3]
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

import tenuto.traces
from tenuto.accelerators import load, simulate
from tenuto.accelerators.area import MATCHER_WINDOW, area_of
from tenuto.accelerators.costs import cost_table
from tenuto.accelerators.report import CycleReport
from tenuto.datm_engine_timing import Datm
from tenuto.datm_timing import SimilarityArray
from tenuto.golden.conmerge import pack
from tenuto.golden.conmerge_optimum import fewest_tiles
from tenuto.hardware import Chip, Compaction
from tenuto.traces.recipes import RECIPES, Recipe
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Part
from tenuto.traces.workloads import EXION_SEVEN, WORKLOADS

VIDEO = (
    "cogvideox-2b", "cogvideox-5b", "hunyuan-video", "hunyuan-video-720p", "wan-1.3b", "wan-14b",
)  # fmt: skip
COLUMN_CYCLES = cost_table()["entries"]["conmerge_cycles_per_column"]["typical"]
LOCAL_SHARE = 24 * 320 / (71.6875 * 1024)
"""Of `exion24`'s memory: 320 KB a core, beside 64 MB for all."""
EVERY = tuple(name for name in WORKLOADS if name != "dit-xl-2-256")


def chip(name: str) -> Chip:
    """Load an accelerator."""
    machine = load(name)
    assert isinstance(machine, Chip)
    return machine


def ratio(base: CycleReport, report: CycleReport) -> str:
    """Format speed-up and energy relative to a base."""
    return f"{base.seconds / report.seconds:7.2f}x{report.energy_j / base.energy_j:8.1%}"


def saving(base: CycleReport, report: CycleReport) -> str:
    """Format speed-up and energy efficiency as EXION's paper does: both as factors."""
    return f"{base.seconds / report.seconds:9.1f}x{base.energy_j / report.energy_j:9.1f}x"


def h1() -> None:
    """ORBIS's ladder on video models, against the A100 model."""
    print("H1. ORBIS, speed-up and energy against the A100 model (dense, calibrated)")
    print("    quoted: up to 4.5x, up to 79.3 % less energy (which model: not published)")
    orbis = chip("orbis")
    assert orbis.matcher is not None
    software = replace(orbis, matcher=None)
    shown = replace(orbis, matcher=replace(orbis.matcher, is_hidden=False))
    steep = replace(RECIPES["orbis"], token_scale=1.5)
    rungs: list[tuple[str, Recipe | str, Chip]] = [
        ("dense ASIC", "dense", orbis),
        ("+ input-guided reduction", "input-guided", software),
        ("+ output-guided, twice the tokens", "output-guided", software),
        ("+ DATM engine, not hidden", "orbis", shown),
        ("+ hidden DATM", "orbis", orbis),
        ("hidden DATM at ratio 0.75", steep, orbis),
    ]
    for name in VIDEO:
        gpu = simulate(scaled_trace(name, "dense"), "a100")
        ideal = simulate(scaled_trace(name, "dense"), "a100-roofline")
        print(f"  {name}: A100 {gpu.seconds:.1f} s, roofline {ideal.seconds:.1f} s")
        for words, recipe, machine in rungs:
            report = simulate(scaled_trace(name, recipe), machine)
            cycles = report.breakdowns["cycles"]
            own = (cycles["stall_matching"] + cycles["array_matching"]) / report.cycles
            print(f"    {words:<36}{ratio(gpu, report)}  matching {own:6.2%} of the cycles")


def h2() -> None:
    """The matching engine's area, what of its time shows, and the same with the RTL's own rates."""
    print("H2. DATM engine (target: <= 2.4 % of the area, hidden)")
    orbis = chip("orbis")
    assert orbis.matcher is not None
    for level in ("low", "typical", "high"):
        area = area_of(orbis, level)
        share = area["matcher"] / sum(area.values())
        print(f"  {level:<8} {area['matcher']:.2f} of {sum(area.values()):.1f} mm2: {share:.2%}")
    engine = area_of(orbis)["matcher"]
    rest = sum(area_of(replace(orbis, matcher=None)).values())
    columns = int(orbis.matcher.macs_per_cycle) // MATCHER_WINDOW
    print(f"  at the RTL's own cycles, {columns} columns of {MATCHER_WINDOW} at a time:")
    for name in VIDEO:
        trace = scaled_trace(name, "orbis")
        report = simulate(trace, orbis)
        needed = rtl_engines(trace, report, columns)
        share = needed * engine / (rest + needed * engine)
        print(f"  {name:<20} stalls for matching: {report.breakdowns['cycles']['stall_matching']}"
              f"   RTL engines that hide it: {needed}, {share:.2%} of the area")  # fmt: skip


def rtl_engines(trace: tenuto.traces.Trace, report: CycleReport, columns: int) -> int:
    """Return how many engines at the RTL's cycles keep up with a run of the main pipeline."""
    table = trace.operations
    is_match = table.part == Part.MATCH
    matchings = zip(
        table.rows[is_match], table.inner[is_match], table.columns[is_match], strict=True
    )
    cycles = sum(
        rtl_cycles(int(tokens), int(channels), int(window), columns)
        for tokens, channels, window in matchings
    )
    return -(-cycles // int(report.cycles))


@cache
def rtl_cycles(tokens: int, channels: int, window: int, columns: int) -> int:
    """Return the cycles of one matching: a quarter of the tokens are destinations."""
    num_windows = -(-tokens // window)
    engine = Datm(
        array=SimilarityArray(tokens=window, channels=channels, columns=columns),
        num_windows=num_windows,
        num_destinations=num_windows * window // 4,
        num_reduced=tokens // 2,
    )
    return engine.cycles([[window // 4] * num_windows])


def h3() -> None:
    """EXION against its GPUs, and its ladder."""
    print("H3. EXION, speed-up and energy efficiency (recipe: FFN-Reuse and eager prediction)")
    print("    quoted: EXION24 / RTX 6000 Ada 3.2-379.3x and 45.1-3067.6x,")
    print("            EXION4 / Orin Nano 42.6-1090.9x and 196.9-4668.2x")
    pairs = (("exion24", "rtx6000ada"), ("exion4", "orin-nano"))
    for machine, gpu in pairs:
        for name in EXION_SEVEN:
            base = simulate(scaled_trace(name, "dense"), gpu)
            ideal = simulate(scaled_trace(name, "dense"), f"{gpu}-roofline")
            single = simulate(scaled_trace(name, "dense"), f"{gpu}-fp32")
            report = simulate(scaled_trace(name, "exion"), machine)
            times = ideal.seconds / report.seconds
            print(
                f"  {machine} {name:<18} / {gpu}{saving(base, report)}   / in fp32"
                f"{saving(single, report)}   / roofline{times:7.2f}x {report.mean_power_w:5.1f} W"
            )
    print("  ladder on exion24, speed-up and energy against its own dense run")
    plain = replace(chip("exion24"), compaction=Compaction(granularity="none"))
    for name in EXION_SEVEN:
        base = simulate(scaled_trace(name, "dense"), plain)
        shown = [
            f"{recipe} {ratio(base, simulate(scaled_trace(name, recipe), machine))}"
            for recipe in ("eager", "ffn-reuse", "exion")
            for machine in (plain, chip("exion24"))
        ]
        print(f"    {name}")
        for without, merged in zip(shown[::2], shown[1::2], strict=True):
            print(f"      without ConMerge {without:<34} with {merged}")


def h4() -> None:
    """Element against column sparsity, and where the cycles go without a memory that fits."""
    print("H4. granularity (2606.00567, quoted: column sparsity up to 78 points below element")
    print(
        "    sparsity; cycles cut by 12.4 % on DiT, <= 30.6 % on UNets, 50.8 % on MLD; 84 to 89 %"
    )
    print("    of cycles stall on memory)")
    full = chip("exion24")
    column = replace(full, compaction=Compaction(granularity="column"))
    plain = replace(full, compaction=Compaction(granularity="none"))
    small = replace(column, sram=replace(full.sram, capacity_bytes=2**17))
    for style in ("iid", "clustered"):
        for name in EXION_SEVEN:
            trace = scaled_trace(name, replace(RECIPES["ffn-reuse"], style=style))
            dense = simulate(trace, plain)
            element, of_columns = sparsities(trace)
            cut = 1 - simulate(trace, column).cycles / dense.cycles
            merged = 1 - simulate(trace, full).cycles / dense.cycles
            tight = simulate(trace, small)
            waits = tight.breakdowns["cycles"]["stall_dram"] / tight.cycles
            print(f"  {style:<10}{name:<18} element {element:5.1%} column {of_columns:5.1%}"
                  f"   cycles cut: column {cut:6.1%} merged {merged:6.1%}"
                  f"   128 KiB of SRAM: stalls on memory {waits:5.1%}")  # fmt: skip


def sparsities(trace: tenuto.traces.Trace) -> tuple[float, float]:
    """Return element and column sparsity of the feed-forward masks, in sparse iterations."""
    table, tiles = trace.operations, trace.tiles
    is_up = table.part[tiles.operation] == Part.FFN_UP
    width = table.columns[tiles.operation[is_up]]
    elements = tiles.live_elements[is_up].sum() / (tiles.needed_rows[is_up] * width).sum()
    blocks = np.ceil(tiles.needed_rows[is_up] / 16)
    columns = tiles.live_columns[is_up].sum() / (blocks * width).sum()
    return 1 - float(elements), 1 - float(columns)


def h5() -> None:
    """ConMerge: area share, and the packer against the optimum of small masks."""
    print("H5. ConMerge (target: <= 0.94 % of a core's area, tiles within 10 % of the optimum)")
    full = chip("exion24")
    traces = [scaled_trace(name, "exion") for name in EXION_SEVEN]
    for units in (1, 2, 4, 8, 16):
        columns = max(int(units * full.num_cores / COLUMN_CYCLES), 1)
        machine = replace(full, compaction=replace(full.compaction, columns_per_cycle=columns))
        area = area_of(machine)
        core = sum(area[name] for name in ("arrays", "vector", "predictor", "compaction"))
        core += area["sram"] * LOCAL_SHARE
        waits = [
            report.breakdowns["cycles"]["stall_compaction"] / report.cycles
            for report in (simulate(trace, machine) for trace in traces)
        ]
        share = area["compaction"] / core
        print(f"  {units:>2} RTL units a core: {share:.2%} of a core; waits of the"
              " seven " + " ".join(f"{wait:.0%}" for wait in waits))  # fmt: skip
    rng = np.random.default_rng(0)
    greedy = best = 0
    for _ in range(300):
        mask = rng.random((4, 8)) < rng.uniform(0.1, 0.6)
        greedy += pack(mask, rows=4, lanes=2).num_tiles
        best += fewest_tiles(mask, lanes=2)
    print(f"  300 masks of 4 x 8 on 4 x 2 units: {greedy} tiles, optimum {best}:"
          f" {greedy / best - 1:+.1%}")  # fmt: skip


def h6() -> None:
    """One machine with everything, against the same machine with each half, and against rivals."""
    print("H6. tenuto1, all techniques together (simulated; energy of the other one = 100 %)")
    print("    against itself with token reduction only, with EXION's techniques only; exion24")
    ours = chip("tenuto1")
    misses: dict[str, list[str]] = {"composed": [], "forecast": []}
    watts: dict[str, float] = {"exion24": 0.0, "tenuto1": 0.0}
    for name in EVERY:
        bases = [
            simulate(scaled_trace(name, "orbis"), ours),
            simulate(scaled_trace(name, "exion"), ours),
            simulate(scaled_trace(name, "exion"), "exion24"),
        ]
        found = {recipe: simulate(scaled_trace(name, recipe), ours) for recipe in misses}
        watts["exion24"] = max(watts["exion24"], bases[-1].mean_power_w)
        for recipe, report in found.items():
            watts["tenuto1"] = max(watts["tenuto1"], report.mean_power_w)
            if any(report.seconds >= b.seconds or report.energy_j >= b.energy_j for b in bases):
                misses[recipe].append(name)
        print(f"  {name:<20}" + " ".join(ratio(base, found["composed"]) for base in bases)
              + f"   with forecasts {ratio(bases[-1], found['forecast'])}", flush=True)  # fmt: skip
    for name, power in watts.items():
        print(f"  {name}: {sum(area_of(chip(name)).values()):.1f} mm2, at most {power:.1f} W")
    for recipe, names in misses.items():
        print(f"  {recipe}: not faster and more frugal than all three: {names or 'none'}")
    large = chip("tenuto1-large")
    print("    tenuto1-large (A100's area and power) against orbis")
    for name in EVERY:
        composed = simulate(scaled_trace(name, "composed"), large)
        orbis = simulate(scaled_trace(name, "orbis"), "orbis")
        print(f"  {name:<20}{ratio(orbis, composed)}")


def h7() -> None:
    """Wall time of the simulator itself, this process warm."""
    print("H7. simulator, measured wall time (targets: < 3 s warm with the read, point < 0.5 s)")
    trace = scaled_trace("hunyuan-video-720p", "composed")
    folder = Path(tempfile.mkdtemp())
    try:
        tenuto.traces.save(trace, folder / "run")
        run = lambda: simulate(tenuto.traces.open(folder / "run"), "tenuto1")  # noqa: E731
        first, again = seconds(run), min(seconds(run) for _ in range(3))
        point = min(seconds(lambda: simulate(trace, "tenuto1")) for _ in range(3))
        size = sum(file.stat().st_size for file in (folder / "run").iterdir())
    finally:
        shutil.rmtree(folder)
    image = min(seconds(lambda: simulate(scaled_trace("dit", "composed"), "tenuto1"))
                for _ in range(3))  # fmt: skip
    print(f"  {len(trace.tiles):,} tile rows, {size / 1e6:.1f} MB: read and simulate {first:.2f} s"
          f" first, {again:.2f} s warm; in memory {point:.2f} s; dit, made and simulated"
          f" {image:.2f} s")  # fmt: skip


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


TARGETS = {"H1": h1, "H2": h2, "H3": h3, "H4": h4, "H5": h5, "H6": h6, "H7": h7}


def main(names: Iterable[str]) -> None:
    """Print the chosen targets."""
    for name in names:
        TARGETS[name]()
        print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(TARGETS), default=sorted(TARGETS))
    main(parser.parse_args().only)
