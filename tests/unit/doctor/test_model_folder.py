"""What a model folder's JSON files say, and how a folder that says nothing is refused."""

import json
from pathlib import Path

import pytest

from tenuto.doctor.model_folder import read_model_folder
from tenuto.errors import UnsupportedModelError


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_an_embedded_model_is_read_by_its_name() -> None:
    folder = read_model_folder("emoji-video")

    assert folder.pipeline == "WanPipeline"
    assert folder.scheduler == "UniPCMultistepScheduler"
    (denoiser,) = folder.denoisers
    assert (denoiser.place, denoiser.class_name) == ("transformer", "WanTransformer3DModel")
    assert denoiser.config["num_layers"] == 8
    assert not [name for name in denoiser.config if name.startswith("_")]


def test_both_transformers_of_a_pipeline_are_read_and_empty_places_are_not(tmp_path: Path) -> None:
    pair = ["diffusers", "WanTransformer3DModel"]
    index = {"_class_name": "WanPipeline", "transformer": pair, "transformer_2": pair}
    write(tmp_path / "model_index.json", {**index, "unet": [None, None]})
    write(tmp_path / "transformer" / "config.json", {"_class_name": pair[1], "num_layers": 1})
    quantized = {"_class_name": pair[1], "quantization_config": {"quant_method": "x"}}
    write(tmp_path / "transformer_2" / "config.json", quantized)

    first, second = read_model_folder(str(tmp_path)).denoisers

    assert (first.place, first.is_quantized) == ("transformer", False)
    assert (second.place, second.is_quantized) == ("transformer_2", True)


def test_a_folder_of_one_transformer_needs_no_index(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {"_class_name": "DiTTransformer2DModel"})

    folder = read_model_folder(str(tmp_path))

    assert folder.pipeline is None
    assert folder.denoisers[0].class_name == "DiTTransformer2DModel"


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({}, ValueError, "`MODEL` must be one of .* or a folder with model_index.json"),
        ({"config.json": "{"}, UnsupportedModelError, "config.json must be JSON that can be read"),
        ({"config.json": "[]"}, UnsupportedModelError, "must hold one JSON object, got a list"),
        (
            {"model_index.json": '{"vae": ["diffusers", "X"]}'},
            UnsupportedModelError,
            r"model_index.json must name one of .*, got \['vae'\]",
        ),
        (
            {"model_index.json": '{"transformer": ["diffusers", "X"]}'},
            UnsupportedModelError,
            "transformer/config.json must be JSON that can be read",
        ),
    ],
)
def test_a_folder_that_says_nothing_is_refused(
    tmp_path: Path, files: dict[str, str], error: type[Exception], message: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(error, match=message):
        read_model_folder(str(tmp_path))
