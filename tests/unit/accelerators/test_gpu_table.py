"""Measured tables of GPUs: what they say becomes efficiencies, and the model uses them."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.accelerators import load, simulate
from tenuto.accelerators.gpu_table import (
    GpuTable,
    Peaks,
    Timed,
    gpu_from,
    read_gpu_table,
    write_gpu_table,
)
from tenuto.errors import HardwareError
from tenuto.hardware_gpu import Curve, Gpu
from tenuto.traces.scaled import scaled_trace

PEAKS = Peaks(
    macs_per_s=1e12, bytes_per_s=1e11, num_sms=4, idle_w=10.0, board_w=100.0, die_mm2=300.0,
    source="a data sheet",
)  # fmt: skip
OPERATIONS = (
    Timed(kind="matmul", rows=100, inner=100, columns=100, seconds=11e-6),
    Timed(kind="matmul", rows=1000, inner=1000, columns=1000, seconds=2001e-6),
    Timed(kind="attention", rows=100, inner=50, columns=100, count=10, seconds=41e-6),
    Timed(kind="elementwise", rows=1000, columns=1000, seconds=121e-6),
    Timed(kind="gather", rows=500, columns=1000, seconds=101e-6),
)
TABLE = GpuTable(
    version=1, name="mine", device="Some GPU", torch="2.13", element_bytes=2, launch_s=1e-6,
    peaks=PEAKS, operations=OPERATIONS,
)  # fmt: skip


def test_times_become_shares_of_the_peak_without_their_launch() -> None:
    gpu = gpu_from(TABLE)

    assert gpu.matmul is not None
    assert gpu.attention is not None
    assert gpu.elementwise is not None
    assert gpu.matmul.work == (1e6, 1e9)
    assert gpu.matmul.efficiency == pytest.approx((0.1, 0.5))
    assert gpu.attention.efficiency == pytest.approx((1e7 / 1e12 / 40e-6,))
    assert gpu.elementwise.efficiency == pytest.approx((6e6 / 1e11 / 120e-6,))
    assert gpu.launch_s == 1e-6
    assert gpu.sources == (
        "launch time and efficiencies: measured on Some GPU with torch 2.13",
        "peaks, power, area: a data sheet",
    )


def test_a_time_that_is_all_launch_is_the_peak_and_equal_sizes_are_averaged() -> None:
    short = Timed(kind="matmul", rows=100, inner=100, columns=100, seconds=1e-6)

    gpu = gpu_from(replace(TABLE, operations=(*OPERATIONS, short)))

    assert gpu.matmul is not None
    assert gpu.matmul.efficiency == pytest.approx(((0.1 + 1.0) / 2, 0.5))


def test_a_written_table_is_read_back_and_loads_as_a_machine(tmp_path: Path) -> None:
    write_gpu_table(TABLE, tmp_path / "mine.json")

    assert read_gpu_table(tmp_path / "mine.json") == TABLE
    assert load(str(tmp_path / "mine.json")) == gpu_from(TABLE)


def test_the_model_takes_its_times_from_the_curves() -> None:
    slow, fast = (
        Gpu(name="g", macs_per_s=1e12, bytes_per_s=1e30, num_sms=1, idle_w=1.0, board_w=2.0,
            die_mm2=1.0, matmul=Curve(work=(1.0,), efficiency=(share,)),
            attention=Curve(work=(1.0,), efficiency=(share,)))
        for share in (0.25, 0.5)
    )  # fmt: skip
    trace = scaled_trace("mld", "dense")

    report = simulate(trace, slow)

    assert report.seconds == pytest.approx(trace.dense_macs / 1e12 / 0.25)
    assert report.seconds == pytest.approx(2 * simulate(trace, fast).seconds)


@settings(max_examples=30)
@given(share=st.floats(0.01, 1.0), part=st.sampled_from(["matmul", "attention", "elementwise"]))
def test_a_better_efficiency_never_costs_time(share: float, part: str) -> None:
    gpu, trace = gpu_from(TABLE), scaled_trace("mld", "dense")
    curve: Curve = getattr(gpu, part)
    better = replace(curve, efficiency=tuple(max(share, value) for value in curve.efficiency))

    faster = simulate(trace, replace(gpu, **{part: better})).seconds

    assert faster <= simulate(trace, gpu).seconds * (1 + 1e-12)


def test_between_two_sizes_efficiency_goes_with_the_logarithm() -> None:
    curve = Curve(work=(1e6, 1e8), efficiency=(0.2, 0.4))
    gpu = replace(gpu_from(TABLE), bytes_per_s=1e30, launch_s=0.0, matmul=curve, attention=curve)
    trace = scaled_trace("mld", "dense")
    table = trace.operations

    seconds = simulate(trace, gpu).seconds

    is_attention = np.isin(table.part, (2, 3, 6, 7))
    work = table.dense_macs * np.where(is_attention, 2, 1)
    share = np.clip(0.2 + 0.2 * (np.log10(np.maximum(work, 1)) - 6) / 2, 0.2, 0.4)
    assert seconds == pytest.approx(float((table.dense_macs / 1e12 / share).sum()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "`version` must be 1, got 2"),
        ({"launch_s": -1.0}, "`launch_s` must be at least 0 and finite, got -1.0"),
        ({"launch": 1.0}, "unknown keys ['launch']"),
        ({"operations": 3}, "`operations` must be a list, got 3"),
        ({"operations": []}, "`operations` must hold all kinds, got none of ['attention',"),
        ({"operations": [{"kind": "matmul", "rows": 0, "columns": 1, "seconds": 1.0}]},
         "operations[0]: `rows` must be greater than 0 and finite, got 0"),
        ({"operations": [{"kind": "sort", "rows": 1, "columns": 1, "seconds": 1.0}]},
         "`operations[0].kind` must be"),
        ({"peaks": asdict(PEAKS) | {"macs_per_s": 1e9}},
         "`peaks.macs_per_s` must be what no operation passes, but a matmul of 1e+06 took"),
        ({"peaks": asdict(PEAKS) | {"board_w": 0.0}}, "`board_w` must be greater than 0"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_is_refused_in_one_sentence(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(asdict(TABLE) | change))

    with pytest.raises(HardwareError) as error:
        read_gpu_table(file)

    assert str(error.value).startswith("mine.json is no table of `tenuto gpu-table`: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1'])
def test_a_file_that_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(text)

    with pytest.raises(HardwareError, match=r"mine\.json is no table of `tenuto gpu-table`: "):
        load(str(tmp_path / "mine.json"))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(HardwareError, match=r"no GPU table 'nothing\.json': No such file"):
        load("nothing.json")


@pytest.mark.parametrize(
    ("work", "efficiency", "message"),
    [
        ((), (), "not empty, got 0 and 0"),
        ((1.0, 2.0), (0.5,), "got 2 and 1"),
        ((2.0, 1.0), (0.5, 0.5), r"`work` must be greater than 0 and rise, got \(2\.0, 1\.0\)"),
        ((0.0,), (0.5,), "`work` must be greater than 0 and rise"),
        ((1.0,), (1.5,), r"`efficiency` must be in \(0, 1\], got \(1\.5,\)"),
    ],
)
def test_a_curve_that_cannot_be_is_refused(work: Any, efficiency: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Curve(work=work, efficiency=efficiency)
