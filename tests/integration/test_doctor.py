"""What the doctor says of a model before its weights, against what `accelerate` does with them."""

import json
import re
from typing import get_args

import pytest
from tests.integration import tiny_models

import tenuto
from tenuto.cli import main
from tenuto.doctor.model_folder import Denoiser, read_model_folder
from tenuto.doctor.support import support_of, weightless
from tenuto.integration.composition import Technique


def denoiser_of(model, folder):
    model.save_config(folder)
    (denoiser,) = read_model_folder(str(folder)).denoisers
    return denoiser


def is_taken(model, technique):
    try:
        tenuto.accelerate(model, technique).remove()
    except tenuto.UnsupportedModelError:
        return False
    return True


@pytest.mark.parametrize("family", tiny_models.NAMES)
def test_what_the_doctor_says_of_a_technique_is_what_accelerate_does(family, make_tiny, tmp_path):
    tiny = make_tiny(family)

    support = support_of(denoiser_of(tiny.model, tmp_path))

    assert support.refused is None
    assert support.num_blocks == len(tiny.blocks)
    said = {answer.techniques: answer.refused is None for answer in support.answers}
    for technique in get_args(Technique):
        assert said[technique.__name__] == is_taken(tiny.model, technique()), technique
    assert said["FFNReuse + EagerPrediction"] == (family != "mochi")


def test_no_weight_is_allocated(make_tiny, tmp_path):
    model = weightless(denoiser_of(make_tiny("wan").model, tmp_path))

    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("class_name", "config", "message"),
    [
        ("Unet", {}, r"`transformer` must be one of \['CogVideoX.*, got Unet"),
        ("WanTransformer3DModel", {"num_layers": "many"}, "that fails with TypeError"),
        ("WanTransformer3DModel", {"num_layers": 0}, "must have transformer blocks, got none"),
    ],
)
def test_a_transformer_that_cannot_be_accelerated_is_refused_with_the_reason(
    class_name, config, message
):
    support = support_of(Denoiser(place="transformer", class_name=class_name, config=config))

    assert support.answers == ()
    assert support.refused is not None
    assert re.search(message, support.refused)


def test_the_command_says_what_an_embedded_model_takes_and_writes_it_down(tmp_path, capsys):
    file = tmp_path / "found.json"

    status = main(["doctor", "emoji-video", "--json", str(file)])

    shown = capsys.readouterr().out
    found = json.loads(file.read_text())
    assert status == 0
    assert "transformer: WanTransformer3DModel, 8 blocks, supported" in shown
    assert found["problems"] == []
    assert found["transformers"][0]["answers"][0] == {"techniques": "DiTo", "refused": None}
    assert "torch" in [package["name"] for package in found["packages"]["core"]]


def test_an_unsupported_model_is_a_failure_and_no_model_is_a_wrong_call(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"_class_name": "Unet"}')

    assert main(["doctor", str(tmp_path)]) == 1
    assert "problem: `model` must be one of" in capsys.readouterr().out
    assert main(["doctor", str(tmp_path / "none")]) == 2
    assert "tenuto doctor: `MODEL` must be" in capsys.readouterr().err
