"""Full disks, folders that cannot be written, threads: one sentence, or the same result."""

import os
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tests.integration import tiny_models
from tests.integration.conftest import Loop

import tenuto
from tenuto.cli import main
from tenuto.errors import CalibrationError
from tenuto.evaluation.generation import load_workload
from tenuto.integration.calibration import Calibration, save_calibration

CALIBRATION = Calibration(
    model="M", scheduler="S", ratios=(0.0, 1.0), pmr=torch.zeros(2, 2), notes={}
)


@contextmanager
def disk_with(num_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes: the kernel refuses, as a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_calibration_on_a_full_disk_is_one_sentence_and_leaves_no_file(tmp_path):
    with disk_with(100), pytest.raises(CalibrationError, match="could not be written: "):
        save_calibration(CALIBRATION, tmp_path / "one.safetensors")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_bytes", [0, 200, 20_000])
def test_a_comparison_on_a_full_disk_goes_on_once_there_is_room(tmp_path, num_bytes, capsys):
    command = [
        "compare", "--model", "emoji-image", "--steps", "2", "--prompts", "1", "--threads", "1",
        "-t", "fewer-steps:1", "--out", str(tmp_path),
    ]  # fmt: skip
    load_workload("emoji-image", num_steps=1)  # imports write to the captured error stream
    with disk_with(num_bytes):
        failed = main(command)
    said = capsys.readouterr().err

    assert failed == 1
    assert "could not be written (" in said and "Traceback" not in said
    assert not (tmp_path / "compare.json").exists()
    assert main(command) == 0
    assert (tmp_path / "compare.json").exists()


@pytest.mark.parametrize("command", ["compare", "calibrate"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(command, monkeypatch, capsys):
    class WorkedError(AssertionError):
        pass

    def work(*_: object) -> None:
        raise WorkedError

    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr("tenuto.evaluation.generation.Workload.generate", work)
    out = Path("somewhere") if command == "compare" else Path("one.safetensors")
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    technique = ["-t", "off"] if command == "compare" else []

    code = main([command, "--model", "emoji-image", "--steps", "2", *technique, "--out", str(out)])

    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2
    assert said.startswith(f"tenuto {command}: `--out` must be in a folder that can be written")


def test_a_folder_that_cannot_be_made_is_one_sentence(capsys):
    out = "/proc/tenuto/comparison"

    code = main(["compare", "--model", "emoji-image", "--steps", "2", "-t", "off", "--out", out])

    assert code == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("tenuto compare: [Errno ")


def test_models_in_threads_of_their_own_do_not_meet():
    jobs = [
        (name, technique)
        for name in ("wan", "sd3")
        for technique in (tenuto.DiTo(ratio=0.5, warmup=1), tenuto.ORBIS(warmup=1))
    ]

    def run(job: tuple[str, object]) -> torch.Tensor:
        with torch.no_grad():  # a thread begins with gradients
            loop = Loop(tiny_models.make(job[0]))
            with tenuto.accelerate(loop, job[1]):
                return loop(num_steps=4, guidance="none")

    # Weights are drawn from torch's one generator: models are made before the threads start.
    expected = [run(job) for job in jobs]
    loops = [Loop(tiny_models.make(name)) for name, _ in jobs]

    def again(number: int) -> torch.Tensor:
        with torch.no_grad(), tenuto.accelerate(loops[number], jobs[number][1]):
            return loops[number](num_steps=4, guidance="none")

    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(again, range(len(jobs))))

    for output, wanted in zip(outputs, expected, strict=True):
        assert torch.equal(output, wanted)
