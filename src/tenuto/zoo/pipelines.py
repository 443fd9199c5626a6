"""The embedded models as stock diffusers pipelines, and how they are best called."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline, ModelMixin

from tenuto.errors import WeightsError
from tenuto.zoo.weights_file import fill_weights

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
_LIBRARIES = ("diffusers", "tenuto.zoo")

# Trained with classifier-free guidance for a scale of 2; the stock defaults, 5 and 7, draw harsher
# colours and a grid. One copy of the caption is all that the video model needs (WordEncoder).
_CALL_ARGUMENTS: dict[str, dict[str, Any]] = {
    "emoji-image": {
        "height": 64,
        "width": 64,
        "num_inference_steps": 40,
        "guidance_scale": 2.0,
    },
    "emoji-video": {
        "height": 64,
        "width": 64,
        "num_frames": 16,
        "num_inference_steps": 40,
        "guidance_scale": 2.0,
        "max_sequence_length": 8,
    },
}


def load(name: str) -> DiffusionPipeline:
    """Load an embedded model, in single precision on the CPU.

    Args:
        name: "emoji-video" (a `WanPipeline`: 16 frames of 64 x 64) or "emoji-image" (a
            `StableDiffusion3Pipeline`: 64 x 64). Both take captions, see `prompts`.

    Raises:
        ValueError: There is no model of this name.
        WeightsError: The package's own weights are missing or damaged.
    """
    _check_name(name)
    return load_folder(WEIGHTS_FOLDER / name)


def call_arguments(name: str) -> dict[str, Any]:
    """Give the arguments, besides caption and generator, that suit an embedded model best.

    Raises:
        ValueError: There is no model of this name.
    """
    _check_name(name)
    return dict(_CALL_ARGUMENTS[name])


def load_folder(folder: Path) -> DiffusionPipeline:
    """Load a pipeline that `save_pretrained` wrote, of diffusers' and tenuto.zoo's components.

    Unlike `from_pretrained` it takes nothing but safetensors, reaches for no network, and leaves
    the global random state alone.

    Raises:
        WeightsError: A file is missing or damaged, or names a component of another library.
    """
    index = _read_json(folder / "model_index.json")
    components = {
        part: _load_component(folder / part, *origin)
        for part, origin in index.items()
        if isinstance(origin, list) and origin[0] is not None
    }
    return getattr(diffusers, index["_class_name"])(**components)


def _load_component(folder: Path, library: str, class_name: str) -> Any:
    module = import_module(library) if library in _LIBRARIES else None
    component_class = getattr(module, class_name, None)
    if component_class is None:
        raise WeightsError(
            f"{folder} must hold a component of {' or '.join(_LIBRARIES)}, "
            f"got {class_name!r} of {library!r}"
        )
    if issubclass(component_class, ModelMixin):
        return _load_model(component_class, folder)
    if not folder.is_dir():  # from_pretrained would take the path for a name on a model hub
        raise WeightsError(f"{folder} is missing")
    try:
        return component_class.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder} is no {class_name} ({error})") from error


def _load_model(model_class: Any, folder: Path) -> ModelMixin:
    with torch.random.fork_rng(devices=[]):
        model = model_class.from_config(_read_json(folder / "config.json"))
    fill_weights(model, folder / "diffusion_pytorch_model.safetensors")
    return model.eval()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is missing or not JSON ({error})") from error


def _check_name(name: str) -> None:
    if name not in _CALL_ARGUMENTS:
        raise ValueError(f"`name` must be one of {sorted(_CALL_ARGUMENTS)}, got {name!r}")
