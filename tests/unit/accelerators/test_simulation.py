"""What a simulation's report is made of: machines, ideal GPUs beside them, ladders, quotations."""

import json

import pytest

from tenuto.accelerators import load, simulate
from tenuto.accelerators.simulation import ladders, quoted, simulation_of
from tenuto.traces.scaled import scaled_trace


def test_a_gpu_stands_beside_its_roofline_and_machines_are_not_repeated() -> None:
    trace = scaled_trace("mdm", "exion")

    content = simulation_of(trace, ["exion4", "orin-nano"], "orin-nano", None)

    names = [report["accelerator"] for report in content["reports"]]
    assert names == ["exion4", "orin-nano", "orin-nano-roofline"]
    assert [report["kind"] for report in content["reports"]] == ["chip", "gpu", "gpu"]
    assert content["ladders"] == {}
    assert content["simulated"] is True
    json.dumps(content, allow_nan=False)


def test_no_run_beats_the_peaks_that_are_given_for_its_roof() -> None:
    content = simulation_of(scaled_trace("mdm", "exion"), ["exion4", "orbis"], "a100", None)

    for report in content["reports"]:
        assert report["macs"] / report["seconds"] <= report["peak_macs_per_s"] * (1 + 1e-9)
        assert report["dram_bytes"] / report["seconds"] <= report["peak_bytes_per_s"] * (1 + 1e-9)


def test_a_ladder_has_the_recipes_that_a_chip_has_units_for() -> None:
    found = ladders("mdm", ["exion4", "orbis", "dense", "tenuto1"])

    recipes = {chip: [rung["recipe"] for rung in rungs] for chip, rungs in found.items()}
    assert recipes == {
        "exion4": ["dense", "ffn-reuse", "eager", "exion"],
        "orbis": ["dense", "orbis"],
        "dense": ["dense"],
        "tenuto1": ["dense", "orbis", "ffn-reuse", "eager", "exion", "composed", "forecast"],
    }
    expected = simulate(scaled_trace("mdm", "exion"), "exion4")
    assert found["exion4"][-1]["seconds"] == pytest.approx(expected.seconds)
    for chip, rungs in found.items():
        for rung in rungs:
            assert simulate(scaled_trace("mdm", rung["recipe"]), chip).notes == ()


def test_claims_are_on_machines_that_exist_and_name_their_source() -> None:
    for claim in quoted():
        load(claim["machine"]), load(claim["gpu"])
        assert claim["source"]
        assert all(bound is None or bound > 1 for bound in claim["speedup"])
