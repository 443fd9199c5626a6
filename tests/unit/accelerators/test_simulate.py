"""What must hold of every simulation, whatever the trace and the machine."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.accelerators import accelerator_names, load, simulate
from tenuto.accelerators.dram import efficiency_table
from tenuto.accelerators.traffic import traffic_of
from tenuto.accelerators.work import work_of
from tenuto.errors import HardwareError
from tenuto.hardware import Chip, Compaction, Sram
from tenuto.hardware_gpu import Gpu
from tenuto.traces.recipes import RECIPES
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Manifest, Operations, Part, Tiles, Trace

CHIPS = ("dense", "orbis", "exion4", "exion24", "exion42", "tenuto1")
RECIPES_OF_TEST = ("dense", "orbis", "exion", "composed", "forecast")
MODEL_PARTS = [part for part in Part if part < Part.MATCH]


def chip(name: str) -> Chip:
    machine = load(name)
    assert isinstance(machine, Chip)
    return machine


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Small runs of any sizes: an attention and a feed-forward, with any live counts."""
    num_steps, rows = draw(st.integers(1, 3)), draw(st.integers(1, 300))
    width, hidden = draw(st.integers(1, 200)), draw(st.integers(1, 400))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    heads = draw(st.integers(1, 4))
    sizes = {
        Part.QUERY: (rows, width, width, 1), Part.KEY_VALUE: (rows, width, 2 * width, 1),
        Part.SCORES: (rows, width, rows, heads), Part.VALUES: (rows, rows, width, heads),
        Part.PROJECTION: (rows, width, width, 1), Part.FFN_UP: (rows, width, hidden, 1),
        Part.FFN_DOWN: (rows, hidden, width, 1), Part.MATCH: (rows, width, min(rows, 256), 1),
        Part.PREDICT_SCORES: (rows, width, rows, 1), Part.RESTORE: (rows, 0, width, 1),
    }  # fmt: skip
    parts = draw(st.lists(st.sampled_from(sorted(sizes)), min_size=1, max_size=8))
    columns: dict[str, list[int]] = {field.name: [] for field in fields(Operations)}
    tiles: dict[str, list[int]] = {field.name: [] for field in fields(Tiles)}
    followed = {Part.VALUES: Part.SCORES, Part.FFN_DOWN: Part.FFN_UP, Part.PROJECTION: Part.QUERY}
    for step in range(num_steps):
        owners: dict[Part, int] = {}
        for part in parts:
            index = len(columns["part"])
            m, k, n, count = sizes[part]
            keys = rows if part in (Part.SCORES, Part.VALUES) else 0
            tiled = part in (Part.QUERY, Part.KEY_VALUE, Part.SCORES, Part.FFN_UP)
            if tiled and rng.random() < 0.7:
                owners[part] = index
                _add_tiles(tiles, rng, index, (m, n, count))
            row = {
                "step": step,
                "block": 0,
                "part": part,
                "rows": m,
                "inner": k,
                "columns": n,
                "count": count,
                "kept_keys": keys,
                "tiles_of": owners.get(followed.get(part, part), -1),
                "added_macs": 0,
            }
            for name, value in row.items():
                columns[name].append(int(value))
    manifest = Manifest(model="any", kind="recorded", num_steps=num_steps, num_blocks=1,
                        tile_rows=128, restoration="copy")  # fmt: skip
    trace = Trace(
        manifest,
        Operations(**{name: np.array(values, np.int64) for name, values in columns.items()}),
        Tiles(**{name: np.array(values, np.int64) for name, values in tiles.items()}),
    )
    trace.check()
    return trace


def _add_tiles(
    tiles: dict[str, list[int]], rng: np.random.Generator, index: int, size: tuple[int, int, int]
) -> None:
    rows, columns, count = size
    for start in range(0, rows, 128):
        height = min(128, rows - start)
        kept = int(rng.integers(0, height + 1))
        needed = int(rng.integers(0, kept + 1))
        blocks = -(-needed // 16)
        dense_tiles = blocks * -(-columns // 16) * count
        live = int(rng.integers(0, needed * columns * count + 1))
        live_columns = int(rng.integers(0, blocks * columns * count + 1))
        least = 0  # recorders may be wrong about packing; multipliers are not beaten even then
        condensed = int(rng.integers(least, dense_tiles + 1))
        row = {
            "operation": index, "rows": height, "kept_rows": kept, "needed_rows": needed,
            "live_elements": live,
            "live_columns": live_columns,
            "condensed_tiles": condensed, "merged_tiles": int(rng.integers(least, condensed + 1)),
        }  # fmt: skip
        for name, value in row.items():
            tiles[name].append(value)


def slow_macs(trace: Trace, machine: Chip) -> float:
    """Multiply-accumulates that the machine has to do, counted tile by tile."""
    table, total = trace.operations, 0.0
    for index in range(len(table)):
        part = Part(int(table.part[index]))
        if part not in MODEL_PARTS:
            continue
        m, k, n, count = (int(getattr(table, name)[index])
                          for name in ("rows", "inner", "columns", "count"))  # fmt: skip
        owner = int(table.tiles_of[index])
        if owner < 0:
            total += m * k * n * count
            continue
        own = [i for i in range(len(trace.tiles)) if trace.tiles.operation[i] == owner]
        kept, needed, live = (
            sum(int(getattr(trace.tiles, name)[i]) for i in own)
            for name in ("kept_rows", "needed_rows", "live_elements")
        )
        width = int(table.columns[owner]) * int(table.count[owner])
        predicted = part in (Part.QUERY, Part.KEY_VALUE, Part.SCORES, Part.VALUES)
        rows = kept if machine.skips_tokens else m
        if predicted and machine.predictor is not None:
            rows = rows * needed / max(kept, 1)
        is_masked = (part in (Part.SCORES, Part.VALUES) and machine.predictor is not None) or (
            part in (Part.FFN_UP, Part.FFN_DOWN) and machine.reuses_ffn
        )
        density = live / max(needed * width, 1) if is_masked else 1.0
        total += rows * k * n * count * density
    return total


@settings(max_examples=40)
@given(trace=traces(), name=st.sampled_from(CHIPS))
def test_the_multiplications_are_the_traces(trace: Trace, name: str) -> None:
    report = simulate(trace, name)

    assert report.macs == pytest.approx(slow_macs(trace, chip(name)), rel=1e-9)


@settings(max_examples=40)
@given(trace=traces(), name=st.sampled_from(CHIPS))
def test_parts_add_up_to_the_whole(trace: Trace, name: str) -> None:
    report = simulate(trace, name)

    totals = {"cycles": report.cycles, "energy_j": report.energy_j, "area_mm2": report.area_mm2}
    for what, total in totals.items():
        parts = report.breakdowns[what].values()
        assert sum(parts) == pytest.approx(total)
        assert all(part >= -1e-9 * total for part in parts)
    assert sum(report.breakdowns["seconds_by_part"].values()) == pytest.approx(report.seconds)


@settings(max_examples=40)
@given(trace=traces(), name=st.sampled_from(CHIPS), is_small=st.booleans())
def test_nothing_beats_the_multipliers_or_the_memory(
    trace: Trace, name: str, is_small: bool
) -> None:
    machine = chip(name)
    if is_small:
        slow = replace(machine.dram, peak_bytes_per_s=1e9)
        machine = replace(machine, sram=Sram(capacity_bytes=2**15), dram=slow)

    report = simulate(trace, machine)

    best = max(efficiency_table()["kinds"][machine.dram.kind]["efficiency"])
    bytes_per_s = machine.dram.peak_bytes_per_s * best
    assert report.cycles >= report.macs / machine.macs_per_cycle * (1 - 1e-9)
    assert report.seconds >= report.dram_bytes / bytes_per_s * (1 - 1e-9)
    assert 0 <= report.utilisation <= 1


@settings(max_examples=25)
@given(trace=traces(), name=st.sampled_from(CHIPS))
def test_more_bandwidth_or_a_faster_clock_never_costs_time(trace: Trace, name: str) -> None:
    machine = chip(name)
    wider = replace(
        machine, dram=replace(machine.dram, peak_bytes_per_s=2 * machine.dram.peak_bytes_per_s)
    )

    usual = simulate(trace, machine).seconds

    assert simulate(trace, wider).seconds <= usual * (1 + 1e-9)
    assert simulate(trace, replace(machine, clock_hz=2 * machine.clock_hz)).seconds <= usual


@settings(max_examples=25)
@given(trace=traces())
def test_finer_compaction_never_costs_array_cycles(trace: Trace) -> None:
    own = ("array_busy", "array_underfilled")
    cycles = [
        sum(
            simulate(
                trace, replace(chip("exion24"), compaction=Compaction(granularity=granularity))
            ).breakdowns["cycles"][name]
            for name in own
        )
        for granularity in ("none", "column", "merged")
    ]

    assert cycles[0] >= cycles[1] * (1 - 1e-9)
    assert cycles[1] >= cycles[2] * (1 - 1e-9)


@settings(max_examples=15)
@given(trace=traces(), name=st.sampled_from((*CHIPS, "a100", "orin-nano-roofline")))
def test_the_same_input_gives_the_same_report(trace: Trace, name: str) -> None:
    assert simulate(trace, name).to_dict() == simulate(trace, name).to_dict()


def test_bytes_of_a_layer_that_fits_nowhere_are_its_factors_and_result_at_least() -> None:
    trace = scaled_trace("flux-1024", "dense")
    machine = chip("exion4")

    moved = traffic_of(trace, work_of(trace, machine), machine).total

    table = trace.operations
    is_up = (table.part == Part.FFN_UP) & (table.step == 3)
    m, k, n = 4608, 3072, 12288
    assert np.all(moved[is_up] >= (m * k + k * n + m * n) * 1.5)


@pytest.mark.parametrize("recipe", RECIPES_OF_TEST)
def test_a_machine_without_techniques_does_the_dense_run(recipe: str) -> None:
    dense = simulate(scaled_trace("dit", "dense"), "dense")

    report = simulate(scaled_trace("dit", recipe), "dense")

    assert report.macs == report.dense_macs
    assert report.cycles == pytest.approx(dense.cycles)


def test_a_machine_says_what_it_cannot_use() -> None:
    trace = scaled_trace("dit", "forecast")

    assert simulate(trace, "orbis").notes[0] == "computes every token: it has no forecaster"
    assert simulate(trace, "exion24").notes == (
        "computes every token: it has no gathering and restoring",
    )
    assert simulate(trace, "tenuto1").notes == ()


def test_forecasts_pay_for_their_history() -> None:
    recipe = RECIPES["forecast"]
    short = simulate(
        scaled_trace("pixart-sigma-1024", replace(recipe, history_orders=1)), "tenuto1"
    )

    report = simulate(scaled_trace("pixart-sigma-1024", recipe), "tenuto1")

    # 2 modules of 28 blocks, 2 branches of 4096 tokens, 1152 channels of 16 bit, 10 of 20 steps.
    one_output = 2 * 28 * 2 * 4096 * 1152 * 2 * 10
    assert report.dram_bytes - short.dram_bytes == pytest.approx((3 - 1) * one_output)
    assert report.breakdowns["cycles"]["stall_restore"] > 0


def test_hiding_the_matching_saves_its_time_and_nothing_else() -> None:
    trace, hidden = scaled_trace("dit", "orbis"), chip("orbis")
    assert hidden.matcher is not None
    shown = replace(hidden, matcher=replace(hidden.matcher, is_hidden=False))

    with_stall, without = simulate(trace, shown), simulate(trace, hidden)

    saved = with_stall.cycles - without.cycles
    stall = with_stall.breakdowns["cycles"]["stall_matching"]
    assert saved == stall - without.breakdowns["cycles"]["stall_matching"]
    assert saved > 0


def test_the_area_of_exion24_is_near_the_published_one() -> None:
    assert simulate(scaled_trace("mld"), "exion24").area_mm2 == pytest.approx(152.28, rel=0.1)


def test_an_empty_trace_is_refused() -> None:
    none = np.zeros(0, np.int64)
    trace = Trace(
        Manifest(model="x", kind="recorded", num_steps=1, num_blocks=1, tile_rows=16),
        Operations(**{field.name: none for field in fields(Operations)}),
        Tiles(**{field.name: none for field in fields(Tiles)}),
    )

    with pytest.raises(HardwareError, match="holds no operation"):
        simulate(trace, "dense")


@pytest.mark.parametrize("name", accelerator_names())
def test_every_machine_loads_with_its_sources(name: str) -> None:
    machine = load(name)

    assert machine.name == name
    assert machine.sources


def test_an_ideal_gpu_is_never_slower() -> None:
    trace = scaled_trace("stable-diffusion", "dense")

    for name in ("a100", "rtx6000ada", "orin-nano", "h100"):
        assert isinstance(load(f"{name}-roofline"), Gpu)
        assert simulate(trace, f"{name}-roofline").seconds < simulate(trace, name).seconds


def test_an_unknown_machine_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"`accelerator` must be a .toml file, a .json file"):
        load("tpu")


def test_a_packing_that_cannot_be_does_not_beat_the_multipliers() -> None:
    one = {"step": 0, "block": 0, "part": Part.FFN_UP, "rows": 128, "inner": 1024, "columns": 4096,
           "count": 1, "kept_keys": 0, "tiles_of": 0, "added_macs": 0}  # fmt: skip
    tile = {"operation": 0, "rows": 128, "kept_rows": 128, "needed_rows": 128,
            "live_elements": 128 * 4096, "live_columns": 8 * 4096, "condensed_tiles": 1,
            "merged_tiles": 1}  # fmt: skip
    trace = Trace(
        Manifest(model="x", kind="recorded", num_steps=1, num_blocks=1, tile_rows=128),
        Operations(**{name: np.array([int(value)]) for name, value in one.items()}),
        Tiles(**{name: np.array([value]) for name, value in tile.items()}),
    )

    report = simulate(trace, "exion4")

    assert report.cycles >= 128 * 1024 * 4096 / chip("exion4").macs_per_cycle
    assert all(cycles >= 0 for cycles in report.breakdowns["cycles"].values())
