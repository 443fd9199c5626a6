"""The embedded models: stock pipelines that take captions, offline, the same every time."""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from tenuto.errors import CaptionError, WeightsError
from tenuto.zoo import call_arguments, load, prompts, scheduler
from tenuto.zoo.pipelines import WEIGHTS_FOLDER, load_folder
from tenuto.zoo.words import WORDS

CAPTION = {
    "emoji-image": "a big heart and a small frog over the sky",
    "emoji-video": "a heart moves left over the sky",
}
SMALL = {
    "emoji-image": {"height": 16, "width": 16},
    "emoji-video": {"height": 16, "width": 16, "num_frames": 4, "max_sequence_length": 8},
}
STOCK = {
    "emoji-image": diffusers.StableDiffusion3Pipeline,
    "emoji-video": diffusers.WanPipeline,
}

each_model = pytest.mark.parametrize("name", sorted(STOCK))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small gain nothing from threads, and lose much beside other work."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def pipes() -> dict[str, diffusers.DiffusionPipeline]:
    loaded = {name: load(name) for name in STOCK}
    for pipe in loaded.values():
        pipe.set_progress_bar_config(disable=True)
    return loaded


def draw(
    pipe: diffusers.DiffusionPipeline, caption: str, steps: int = 2, **arguments
) -> np.ndarray:
    """Generate from seed 0; ``(batch, [frames], height, width, 3)`` in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    return pipe(
        caption, num_inference_steps=steps, generator=generator, output_type="np", **arguments
    )[0]


def word_vectors(pipe: diffusers.DiffusionPipeline, caption: str, slots: int) -> torch.Tensor:
    """Look a caption up by hand, as in training; the split image table is put together."""
    if isinstance(pipe, diffusers.WanPipeline):
        table = pipe.text_encoder.words.weight
    else:
        table = pipe.text_encoder_3.words.weight
    words = caption.split() or ["<null>"] * slots
    return table[[WORDS.index(word) for word in words + ["<pad>"] * (slots - len(words))]]


@each_model
def test_an_embedded_model_is_the_stock_pipeline_in_single_precision(pipes, name: str) -> None:
    transformer = pipes[name].transformer

    assert type(pipes[name]) is STOCK[name]
    assert {parameter.dtype for parameter in transformer.parameters()} == {torch.float32}
    assert not transformer.training


def test_a_plain_video_call_gives_sixteen_frames_of_the_native_size(pipes) -> None:
    generator = torch.Generator().manual_seed(0)

    frames = pipes["emoji-video"](
        CAPTION["emoji-video"], num_inference_steps=1, generator=generator
    ).frames

    assert frames.shape == (1, 16, 64, 64, 3)
    assert 0 <= frames.min() < frames.max() <= 1


def test_a_plain_image_call_gives_a_picture_of_the_native_size(pipes) -> None:
    generator = torch.Generator().manual_seed(0)

    images = pipes["emoji-image"](
        CAPTION["emoji-image"], num_inference_steps=1, generator=generator
    ).images

    assert [image.size for image in images] == [(64, 64)]


@each_model
def test_the_recommended_call_has_the_native_size(pipes, name: str) -> None:
    arguments = {**call_arguments(name), "num_inference_steps": 1}

    drawn = pipes[name](CAPTION[name], output_type="np", **arguments)[0]

    assert drawn.shape[-3:] == (64, 64, 3)
    assert drawn.shape[1:-3] == ((16,) if name == "emoji-video" else ())


def test_the_recommended_video_call_gives_the_transformer_one_copy_of_the_caption(pipes) -> None:
    pipe, texts = pipes["emoji-video"], []
    handle = pipe.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: texts.append(kwargs["encoder_hidden_states"].shape),
        with_kwargs=True,
    )

    pipe(CAPTION["emoji-video"], **{**call_arguments("emoji-video"), "num_inference_steps": 1})

    handle.remove()
    assert texts == [(1, 8, 128)] * 2


def test_a_size_that_is_asked_for_is_the_size_of_the_result(pipes, caplog) -> None:
    diffusers.utils.logging.enable_propagation()

    shapes = [
        draw(
            pipes["emoji-video"], CAPTION["emoji-video"], 1, height=32, width=48, num_frames=n
        ).shape
        for n in (2, 6)
    ]

    diffusers.utils.logging.disable_propagation()
    assert shapes == [(1, 2, 32, 48, 3), (1, 6, 32, 48, 3)]
    assert not caplog.records


def test_the_video_transformer_sees_what_it_was_trained_on(pipes) -> None:
    caption = CAPTION["emoji-video"]

    cond, uncond = pipes["emoji-video"].encode_prompt(caption, max_sequence_length=8)

    assert torch.equal(cond[0], word_vectors(pipes["emoji-video"], caption, 8))
    assert torch.equal(uncond[0], word_vectors(pipes["emoji-video"], "", 8))


def test_the_image_transformer_sees_what_it_was_trained_on(pipes) -> None:
    caption = CAPTION["emoji-image"]

    cond, uncond, pooled, _ = pipes["emoji-image"].encode_prompt(caption, None, None)

    words = word_vectors(pipes["emoji-image"], caption, 10)
    assert torch.equal(cond[0], words)
    assert torch.equal(uncond[0], word_vectors(pipes["emoji-image"], "", 10))
    torch.testing.assert_close(pooled[0], words.mean(0))


def test_the_stock_text_length_changes_the_video_by_rounding_only(pipes) -> None:
    arguments = {**SMALL["emoji-video"], "max_sequence_length": 512}

    once = draw(pipes["emoji-video"], CAPTION["emoji-video"], **SMALL["emoji-video"])
    often = draw(pipes["emoji-video"], CAPTION["emoji-video"], **arguments)

    np.testing.assert_allclose(often, once, atol=1e-4)


@each_model
def test_the_same_generator_gives_the_same_bits_and_another_does_not(pipes, name: str) -> None:
    first = draw(pipes[name], CAPTION[name], **SMALL[name])
    second = draw(pipes[name], CAPTION[name], **SMALL[name])
    other = pipes[name](
        CAPTION[name],
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(1),
        output_type="np",
        **SMALL[name],
    )[0]

    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@each_model
def test_the_caption_decides_what_is_drawn(pipes, name: str) -> None:
    captions = prompts(name, n=2)

    first, second = (draw(pipes[name], caption, **SMALL[name]) for caption in captions)

    assert np.abs(first - second).mean() > 0.05


@each_model
def test_an_unknown_word_is_an_error_and_the_pipeline_stays_usable(pipes, name: str) -> None:
    before = draw(pipes[name], CAPTION[name], **SMALL[name])

    with pytest.raises(CaptionError, match="got 'red' in 'a red heart over the sky'"):
        draw(pipes[name], "a red heart over the sky", **SMALL[name])

    assert np.array_equal(draw(pipes[name], CAPTION[name], **SMALL[name]), before)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_eulers_steps_through_the_stock_pipeline_are_those_of_the_training_code(pipes) -> None:
    pipe, caption = pipes["emoji-video"], CAPTION["emoji-video"]
    stock, pipe.scheduler = pipe.scheduler, scheduler("euler")
    noise = torch.randn(1, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))

    drawn = pipe(
        caption,
        num_inference_steps=3,
        guidance_scale=2.0,
        max_sequence_length=8,
        latents=noise,
        output_type="latent",
    ).frames
    levels, times = pipe.scheduler.sigmas, pipe.scheduler.timesteps
    pipe.scheduler = stock

    texts = torch.stack([word_vectors(pipe, text, 8) for text in (caption, "")])
    clip = noise
    with torch.no_grad():
        for time, level, following in zip(times, levels, levels[1:], strict=False):
            cond, uncond = pipe.transformer(
                hidden_states=clip.repeat(2, 1, 1, 1, 1),
                timestep=time.expand(2),
                encoder_hidden_states=texts,
                return_dict=False,
            )[0]
            clean = uncond + 2.0 * (cond - uncond)
            clip = clip + (following - level) * (clip - clean) / level
    torch.testing.assert_close(drawn, clip, atol=1e-4, rtol=0)


@each_model
def test_a_saved_pipeline_comes_back_bit_for_bit(pipes, name: str, tmp_path: Path) -> None:
    pipes[name].save_pretrained(tmp_path)

    by_diffusers = diffusers.DiffusionPipeline.from_pretrained(tmp_path)
    by_tenuto = load_folder(tmp_path)

    expected = draw(pipes[name], CAPTION[name], **SMALL[name])
    for pipe in (by_diffusers, by_tenuto):
        assert type(pipe) is STOCK[name]
        assert np.array_equal(draw(pipe, CAPTION[name], **SMALL[name]), expected)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {
        ".json",
        ".safetensors",
    }


@each_model
def test_diffusers_loads_the_packages_folder_in_single_precision(pipes, name: str) -> None:
    pipe = diffusers.DiffusionPipeline.from_pretrained(WEIGHTS_FOLDER / name)

    expected = draw(pipes[name], CAPTION[name], **SMALL[name])
    assert np.array_equal(draw(pipe, CAPTION[name], **SMALL[name]), expected)


def test_a_saved_pipeline_comes_back_where_only_the_package_was_imported(
    pipes, tmp_path: Path
) -> None:
    pipes["emoji-video"].save_pretrained(tmp_path)
    code = (
        "import tenuto.zoo, diffusers, sys\n"
        "pipe = diffusers.DiffusionPipeline.from_pretrained(sys.argv[1])\n"
        "frames = pipe('a heart', num_inference_steps=1).frames\n"
        "print(type(pipe).__name__, frames.shape)"
    )

    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)},
    )

    assert run.stdout.split("\n")[0] == "WanPipeline (1, 16, 64, 64, 3)"


def test_a_copied_pipeline_draws_the_same(pipes) -> None:
    copied = copy.deepcopy(pipes["emoji-video"])

    expected = draw(pipes["emoji-video"], CAPTION["emoji-video"], **SMALL["emoji-video"])
    assert np.array_equal(draw(copied, CAPTION["emoji-video"], **SMALL["emoji-video"]), expected)
    assert 480 // copied.vae_scale_factor_spatial == 64


def test_loading_leaves_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()

    load("emoji-video")

    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("function", [load, call_arguments])
def test_an_unknown_model_is_an_error_that_lists_the_names(function) -> None:
    with pytest.raises(
        ValueError, match=r"`name` must be one of \['emoji-image', 'emoji-video'\], got 'emoji'"
    ):
        function("emoji")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(WEIGHTS_FOLDER / "emoji-video", tmp_path / "copy")


WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


def test_truncated_weights_are_an_error(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])

    with pytest.raises(WeightsError, match=r"safetensors is not a complete safetensors file"):
        load_folder(folder)


def test_a_pickle_in_place_of_the_weights_is_an_error(folder: Path) -> None:
    torch.save({"weight": torch.ones(1)}, folder / WEIGHTS)

    with pytest.raises(WeightsError, match="is a pickle, which is never loaded"):
        load_folder(folder)


@pytest.mark.parametrize(
    "missing", ["model_index.json", "tokenizer", "vae/config.json", WEIGHTS], ids=str
)
def test_a_missing_part_is_an_error_that_names_it(folder: Path, missing: str) -> None:
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    with pytest.raises(WeightsError, match=f"{missing}.* is missing"):
        load_folder(folder)


def test_weights_of_another_configuration_are_an_error(folder: Path) -> None:
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "ffn_dim": 96}))

    with pytest.raises(WeightsError, match="does not fit WanTransformer3DModel: 24 names"):
        load_folder(folder)


def test_a_component_of_another_library_is_an_error(folder: Path) -> None:
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "vae": ["os", "system"]}))

    with pytest.raises(WeightsError, match=r"must hold a component of .*, got 'system' of 'os'"):
        load_folder(folder)
