import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from safetensors.torch import save_file
from torch import nn

from tenuto.errors import CalibrationError
from tenuto.integration import calibration as module
from tenuto.integration.calibration import (
    Calibration,
    load_calibration,
    model_fingerprint,
    save_calibration,
    scheduler_fingerprint,
)


class Configured(nn.Module):
    """A model with a configuration, as diffusers' have."""

    def __init__(self, **config):
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.arange(6.0))


def example(**changes):
    calibration = Calibration(
        model=model_fingerprint(Configured(width=4)),
        scheduler=scheduler_fingerprint(FlowMatchEulerDiscreteScheduler()),
        ratios=(0.0, 0.3, 0.0, 1.0),
        pmr=torch.rand(4, 4),
        forecast_weights=torch.randn(4, 3, 8),
        notes={"prompts": 8, "versions": {"torch": "2.13.0"}},
    )
    return replace(calibration, **changes)


def test_what_was_saved_is_loaded(tmp_path):
    saved = example()
    path = tmp_path / "folder" / "one.safetensors"

    save_calibration(saved, path)
    loaded = load_calibration(str(path))

    assert (loaded.model, loaded.scheduler) == (saved.model, saved.scheduler)
    assert loaded.ratios == saved.ratios
    assert torch.equal(loaded.pmr, saved.pmr)
    assert torch.equal(loaded.forecast_weights, saved.forecast_weights)
    assert loaded.notes == saved.notes
    assert [file.name for file in path.parent.iterdir()] == ["one.safetensors"]


def test_what_was_not_measured_stays_out(tmp_path):
    path = tmp_path / "one.safetensors"

    save_calibration(example(pmr=None, forecast_weights=None), path)

    assert load_calibration(str(path)).pmr is None
    assert load_calibration(str(path)).forecast_weights is None


def test_another_configuration_is_another_model():
    calibration = example()

    calibration.check_model(Configured(width=4))
    with pytest.raises(CalibrationError, match=r"^the calibration must be for this model, got one"):
        calibration.check_model(Configured(width=8))


def test_other_weights_are_another_model():
    tuned = Configured(width=4)
    with torch.no_grad():
        tuned.weight[0] += 0.1

    with pytest.raises(CalibrationError, match=r"^the calibration must be for this model, got one"):
        example().check_model(tuned)


def test_private_entries_of_a_configuration_do_not_count():
    example().check_model(Configured(width=4, _name_or_path="elsewhere"))


def test_a_run_as_calibrated_passes():
    example().check_run(4, FlowMatchEulerDiscreteScheduler())


@pytest.mark.parametrize(
    ("num_steps", "scheduler", "text"),
    [
        (5, FlowMatchEulerDiscreteScheduler(), "must be 4, as calibrated, got 5"),
        (4, UniPCMultistepScheduler(), "as calibrated, FlowMatch.*, got UniPC"),
        (4, FlowMatchEulerDiscreteScheduler(shift=3.0), "as calibrated, FlowMatch.*, got FlowM"),
        (None, FlowMatchEulerDiscreteScheduler(), "must be used with a pipeline"),
        (4, None, "must be used with a pipeline"),
    ],
)
def test_a_run_otherwise_than_calibrated_is_refused(num_steps, scheduler, text):
    with pytest.raises(CalibrationError, match=text):
        example().check_run(num_steps, scheduler)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "one.safetensors"
    save_calibration(example(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(CalibrationError, match=r"^one.safetensors must be a safetensors file: "):
        load_calibration(str(path))


def test_a_pickle_under_another_name_is_refused_unread(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "one.safetensors"
    path.write_bytes(pickle.dumps({"ratios": Trap()}))

    with pytest.raises(CalibrationError, match=r"^one.safetensors must be a safetensors file: "):
        load_calibration(str(path))

    assert not (tmp_path / "sprung").exists()


def test_weights_of_a_model_are_no_calibration(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2)}, path)

    with pytest.raises(
        CalibrationError,
        match=r"^model.safetensors must be of format tenuto-calibration-1, got None$",
    ):
        load_calibration(str(path))


@pytest.mark.parametrize("missing", ["model", "scheduler", "notes"])
def test_a_calibration_without_its_particulars_is_refused(tmp_path, missing):
    path = tmp_path / "one.safetensors"
    metadata = {"format": "tenuto-calibration-1", "model": "m", "scheduler": "s", "notes": "{}"}
    del metadata[missing]
    save_file({"ratios": torch.zeros(2)}, path, metadata=metadata)

    with pytest.raises(CalibrationError, match=f"^one.safetensors must say .*'{missing}'"):
        load_calibration(str(path))


def test_notes_that_cannot_be_read_are_refused(tmp_path):
    path = tmp_path / "one.safetensors"
    metadata = {"format": "tenuto-calibration-1", "model": "m", "scheduler": "s", "notes": "{"}
    save_file({"ratios": torch.zeros(2)}, path, metadata=metadata)

    with pytest.raises(CalibrationError, match=r"^one.safetensors must have notes in JSON"):
        load_calibration(str(path))


def test_an_unknown_name_lists_the_known_ones(tmp_path, monkeypatch):
    save_calibration(example(), tmp_path / "presets" / "emoji-video-euler-40.safetensors")
    (tmp_path / "presets" / "README.md").write_text("not one")
    monkeypatch.setattr(module, "files", lambda package: tmp_path)

    with pytest.raises(CalibrationError) as caught:
        load_calibration("emoji-video")

    assert str(caught.value) == (
        "`schedule` must be a calibration's file or one of ['emoji-video-euler-40'], "
        "got 'emoji-video'"
    )
    assert load_calibration("emoji-video-euler-40").ratios == example().ratios


def test_an_unknown_name_without_any_known_ones_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "files", lambda package: tmp_path)

    with pytest.raises(CalibrationError, match=r"or one of \[\], got 'emoji-video'$"):
        load_calibration("emoji-video")


def test_fingerprints_name_the_class():
    scheduler = SimpleNamespace(config={"steps": 3})

    assert scheduler_fingerprint(scheduler).startswith("SimpleNamespace-")
    assert model_fingerprint(Configured()).startswith("Configured-")
