"""Comparisons and calibrations of the embedded video model, at few steps."""

import json

import pytest
import torch

import tenuto
from tenuto.cli import main
from tenuto.errors import CalibrationError, ResultError
from tenuto.evaluation.compare import compare
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import load_workload
from tenuto.evaluation.quality import fidelity
from tenuto.evaluation.samples import Plan
from tenuto.integration.calibration import load_calibration

CAPTIONS = ("a heart moves left over the sky", "a frog spins over the sea")


@pytest.fixture(scope="module")
def workload():
    return load_workload("emoji-video", num_steps=5)


def plan(workload, folder, *specs, **changes):
    fields = {"prompts": CAPTIONS, "num_timed_runs": 0, **changes}
    contenders = tuple(contender(spec) for spec in specs)
    return Plan(workload=workload, contenders=contenders, folder=folder, **fields)


def test_rows_hold_what_the_contract_fixes(workload, tmp_path):
    result = compare(plan(workload, tmp_path, "off", "fewer-steps:3", "dito:warmup=1,interval=2"))

    off, fewer, dito = result["rows"]
    assert off["identical"] and off["psnr_db"] is None
    assert fewer["kind"] == "control" and fewer["macs_ratio"] == pytest.approx(5 / 3)
    assert dito["psnr_db"] > 15 and dito["macs_ratio"] > 1.4 and dito["measured"]
    assert dito["state_bytes_peak"] > 0
    assert result["reference"]["repeat_identical"] is True
    assert off["shows_the_same"] == 1.0
    assert off["caption_accuracy"] == result["reference"]["caption_accuracy"]
    assert json.loads((tmp_path / "compare.json").read_text()) == json.loads(json.dumps(result))


def test_operations_of_techniques_on_fewer_steps_are_held_against_all_steps(workload, tmp_path):
    dito = "dito:warmup=1,interval=2"
    result = compare(plan(workload, tmp_path, "fewer-steps:3", f"fewer-steps:3+{dito}"))

    fewer, joined = result["rows"]
    with tenuto.accelerate(workload.pipe, tenuto.DiTo(warmup=1, interval=2)) as handle:
        sample = workload.generate(CAPTIONS[0], 0, 3)
        ratio = handle.stats().macs_ratio
    assert joined["macs_ratio"] == pytest.approx(5 / 3 * ratio) and ratio > 1.1
    assert joined["macs_ratio"] > fewer["macs_ratio"]
    reference = workload.generate(CAPTIONS[0], 0)
    assert joined["psnr_per_prompt"][0] == pytest.approx(fidelity(sample, reference).psnr_db)


def test_an_interrupted_comparison_goes_on_where_it_stopped(workload, tmp_path):
    seen = []

    def stop_late(done):
        seen.append(done)
        if len(seen) == 5:
            raise KeyboardInterrupt

    whole = plan(workload, tmp_path, "fewer-steps:3", "fewer-steps:2")
    with pytest.raises(KeyboardInterrupt):
        compare(whole, stop_late)
    lines = (tmp_path / "samples.jsonl").read_text().splitlines()
    (tmp_path / "samples.jsonl").write_text("\n".join(lines) + '\n{"spec": "cut sho')
    result = compare(whole)

    samples = (tmp_path / "samples.jsonl").read_text()
    assert len(lines) == 3
    assert samples.startswith("\n".join(lines))
    assert all(len(row["psnr_per_prompt"]) == 2 for row in result["rows"])


def test_a_folder_of_another_comparison_is_refused(workload, tmp_path):
    compare(plan(workload, tmp_path, "fewer-steps:2", prompts=CAPTIONS[:1]))

    with pytest.raises(ResultError, match="`out` must be empty or hold a comparison of"):
        compare(plan(workload, tmp_path, "fewer-steps:2", prompts=CAPTIONS[1:]))


def test_timed_rows_have_seconds_and_a_paired_speed_up(workload, tmp_path):
    timed = plan(workload, tmp_path, "fewer-steps:1", prompts=CAPTIONS[:1], num_timed_runs=2)

    (row,) = compare(timed)["rows"]

    assert row["seconds_min"] <= row["seconds_median"] <= row["seconds_max"]
    assert row["speedup"] > 0


def test_a_calibration_to_a_speed_says_how_it_did_on_captions_that_the_search_did_not_see(
    tmp_path, capsys
):
    path = tmp_path / "fast.safetensors"
    arguments = ["--model", "emoji-video", "--steps", "6", "--prompts", "3", "--max-gap", "2"]

    assert main(["calibrate", *arguments, "--target-speed", "1.3", "--out", str(path)]) == 0

    said = capsys.readouterr().out
    assert "chosen, on 4 prompts that the search did not see" in said
    notes = load_calibration(str(path)).notes
    assert notes["target_speed"] == 1.3
    assert 10 < notes["checked_psnr_db"] < 100
    assert [speed for speed, _ in notes["front"]] == [pytest.approx(1.3, rel=0.2)]


def test_a_target_that_no_schedule_reaches_is_refused_with_what_can_be_reached(tmp_path, capsys):
    path = tmp_path / "fast.safetensors"
    arguments = ["--model", "emoji-video", "--steps", "6", "--prompts", "3", "--max-gap", "2"]

    assert main(["calibrate", *arguments, "--target-psnr", "99", "--out", str(path)]) == 2

    assert "`--target-psnr` must be at most" in capsys.readouterr().err
    assert not path.exists()


def test_a_target_is_for_forecasts(tmp_path, capsys):
    arguments = ["--model", "emoji-video", "--method", "pmr", "--out", str(tmp_path / "x")]

    assert main(["calibrate", *arguments, "--target-speed", "2"]) == 2

    assert "must come with --method forecast" in capsys.readouterr().err


# diffusers' DPM schedulers hand tensors to NumPy in a way that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_forecast_calibration_fits_its_pipeline_and_no_other(tmp_path):
    path = tmp_path / "fast.safetensors"
    arguments = ["--model", "emoji-video", "--steps", "8", "--prompts", "3", "--max-gap", "3"]

    assert main(["calibrate", *arguments, "--speed", "1.6", "--out", str(path)]) == 0

    work = load_workload("emoji-video", num_steps=8)
    setting = tenuto.DiTo(schedule=str(path), predict="fitted")
    with tenuto.accelerate(work.pipe, setting) as handle:
        work.generate(CAPTIONS[0], 0)
        assert 1.4 < handle.stats().macs_ratio < 2.0
        with pytest.raises(CalibrationError, match="`num_inference_steps` must be 8"):
            work.generate(CAPTIONS[0], 0, 7)
        work.pipe.scheduler = tenuto.zoo.scheduler("euler")
        with pytest.raises(CalibrationError, match="the scheduler must be as calibrated"):
            work.generate(CAPTIONS[0], 0)
    with pytest.raises(CalibrationError, match="must be for this model"):
        tenuto.accelerate(tenuto.zoo.load("emoji-image"), setting)


def test_a_pmr_calibration_holds_the_table_and_draws_it(tmp_path):
    path = tmp_path / "pmr.safetensors"
    arguments = ["--model", "emoji-video", "--steps", "6", "--prompts", "1", "--method", "pmr"]

    assert main(["calibrate", *arguments, "--out", str(path)]) == 0

    from tenuto.integration.calibration import load_calibration

    pmr = load_calibration(str(path)).pmr
    assert pmr is not None and pmr.shape == (6, 6)
    torch.testing.assert_close(pmr, pmr.T)
    assert (pmr.diagonal() == 1).all() and (pmr >= 0).all()
    assert path.with_suffix(".png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["compare", "--model", "nope", "-t", "off"], "`--model` must be one of"),
        (["compare", "--model", "emoji-video", "-t", "nope"], "`technique` must be one of"),
        (["compare", "--model", "emoji-video", "-t", "off", "--prompts", "0"], "`--prompts` must"),
        (["compare", "--model", "emoji-video", "-t", "off", "--threads", "0"], "`--threads` must"),
        (["compare", "--model", "emoji-video", "-t", "off", "--steps", "0"], "`--steps` must"),
        (["generate", "a heart spins over the sea", "--out", "x.mp4"], "`--out` must end in"),
        (["generate", "a unicorn spins over the sea", "--steps", "1"], "unicorn"),
        (["report", "nowhere"], "compare.json"),
    ],
)
def test_wrong_calls_get_one_sentence_and_a_status(arguments, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    status = main(arguments)

    assert status in (1, 2)
    assert text in capsys.readouterr().err


def test_generate_writes_an_animation(tmp_path):
    path = tmp_path / "clip.webp"

    status = main(["generate", CAPTIONS[0], "--steps", "3", "-t", "dito:warmup=1", "-o", str(path)])

    assert status == 0
    assert path.read_bytes()[:4] == b"RIFF"
