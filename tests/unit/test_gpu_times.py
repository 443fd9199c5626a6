"""Times of a device's operations, on the CPU as the device."""

from pathlib import Path

import pytest

from tenuto.accelerators import load, simulate
from tenuto.accelerators.gpu_table import Timed, read_gpu_table
from tenuto.cli import main
from tenuto.evaluation import gpu_times
from tenuto.evaluation.gpu_times import Setting, shapes_of
from tenuto.hardware_gpu import Gpu
from tenuto.traces.scaled import scaled_trace

POWER = ["--idle-w", "10", "--board-w", "65", "--die-mm2", "200"]


def test_every_distinct_shape_is_timed_once() -> None:
    trace = scaled_trace("mld", "dense")

    once, twice = shapes_of([trace]), shapes_of([trace, trace])

    assert once == twice
    assert len(set(once)) == len(once)
    assert {op.kind for op in once} == {"matmul", "attention", "elementwise", "gather"}
    products = sum(op.macs for op in once if op.kind == "matmul")
    assert 0 < products < trace.dense_macs


def test_a_measured_device_is_a_machine_of_the_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = [Timed(kind="matmul", rows=8, inner=16, columns=8, seconds=1.0),
            Timed(kind="matmul", rows=64, inner=64, columns=64, seconds=1.0),
            Timed(kind="attention", rows=8, inner=4, columns=8, count=2, seconds=1.0),
            Timed(kind="elementwise", rows=64, columns=64, seconds=1.0),
            Timed(kind="gather", rows=8, columns=16, seconds=1.0)]  # fmt: skip
    monkeypatch.setattr(gpu_times, "shapes_of", lambda traces: tiny)
    file = tmp_path / "cpu.json"

    status = main(["gpu-table", "--device", "cpu", "--dtype", "float32", "--trace", "mld",
                   "--repeats", "3", "--out", str(file), *POWER])  # fmt: skip

    table, gpu = read_gpu_table(file), load(str(file))
    assert status == 0
    assert f"--baseline {file}" in capsys.readouterr().out
    assert [(op.kind, op.rows) for op in table.operations] == [(op.kind, op.rows) for op in tiny]
    assert all(0 < op.seconds < 1 for op in table.operations)
    assert isinstance(gpu, Gpu)
    assert (gpu.name, gpu.element_bytes, gpu.board_w) == ("cpu", 4, 65.0)
    assert 0 < gpu.launch_s < 1e-2
    assert gpu.macs_per_s == max(op.macs / op.seconds for op in table.operations)
    assert simulate(scaled_trace("mld", "dense"), gpu).seconds > 0


def test_peaks_of_a_known_gpu_are_taken_on_demand() -> None:
    a100 = load("a100")
    assert isinstance(a100, Gpu)
    board = gpu_times.Board(idle_w=1.0, board_w=2.0, die_mm2=3.0, like=a100)

    peaks = board.peaks([], 2)

    assert (peaks.macs_per_s, peaks.num_sms, peaks.board_w) == (156e12, 108, 2.0)
    assert peaks.source == "tenuto's table of GPUs, a100"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--out", "t.json"], 2, "`--idle-w`, `--board-w`, `--die-mm2` must be given without"),
        (["--out", "t.txt", *POWER], 2, "`--out` must be a .json file in a folder that exists"),
        (["--out", "t.json", "--like", "tpu"], 2, "`like` must be one of ['a100',"),
        (["--out", "t.json", "--dtype", "int3", *POWER], 2, "`dtype` must be one of ['bfloat16',"),
        (["--out", "t.json", "--repeats", "0", *POWER], 2, "`repeats` must be at least 1, got 0"),
        (["--out", "t.json", "--device", "gpu", *POWER], 1, "torch has no device 'gpu' here: "),
        (["--out", "t.json", "--trace", "x", *POWER], 2, "`trace` must be a trace folder or one"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpu_times, "shapes_of", lambda traces: [])

    assert main(["gpu-table", *arguments]) == status
    error = capsys.readouterr().err
    assert "tenuto gpu-table: " in error
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="`dtype` must be one of"):
        Setting(name="x", dtype="float64")
