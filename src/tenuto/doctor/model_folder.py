"""Which transformers a model folder holds, from its JSON files alone: no weight, no code of it."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from tenuto.errors import UnsupportedModelError

_ZOO = ("emoji-image", "emoji-video")
_DENOISERS = ("transformer", "transformer_2", "unet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoiser:
    """One transformer that a folder names.

    Attributes:
        place: Its attribute on the pipeline; "model" for a folder of a single transformer.
        class_name: As its configuration says.
        config: What the file says, names starting with an underscore left out.
    """

    place: str
    class_name: str
    config: dict[str, Any]

    @property
    def is_quantized(self) -> bool:
        """Its weights are quantized by diffusers' own means."""
        return "quantization_config" in self.config


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """What the files of a folder say.

    Attributes:
        name: As it was asked for.
        pipeline: Class of the pipeline, None for a single transformer.
        scheduler: Class of its scheduler, None where there is none.
        denoisers: Its transformers in the order in which pipelines list them.
    """

    name: str
    pipeline: str | None
    scheduler: str | None
    denoisers: tuple[Denoiser, ...]


def read_model_folder(name: str) -> ModelFolder:
    """Read ``model_index.json`` and the configurations that it names, or a single ``config.json``.

    Args:
        name: A folder, or an embedded model.

    Raises:
        ValueError: It is neither, or the folder has none of these files.
        UnsupportedModelError: A file is not JSON, or names no transformer.
    """
    folder = Path(str(files("tenuto") / "zoo" / "weights" / name)) if name in _ZOO else Path(name)
    if (folder / "model_index.json").is_file():
        return _pipeline(name, folder)
    if (folder / "config.json").is_file():
        return ModelFolder(
            name=name, pipeline=None, scheduler=None, denoisers=(_denoiser("model", folder),)
        )
    raise ValueError(
        f"`MODEL` must be one of {list(_ZOO)} or a folder with model_index.json or config.json, "
        f"got {name!r}"
    )


def _pipeline(name: str, folder: Path) -> ModelFolder:
    index = _read(folder / "model_index.json")
    found = tuple(
        _denoiser(place, folder / place) for place in _DENOISERS if _class_in(index, place)
    )
    if not found:
        raise UnsupportedModelError(
            f"{folder.name}/model_index.json must name one of {list(_DENOISERS)}, "
            f"got {sorted(key for key in index if not key.startswith('_'))}"
        )
    return ModelFolder(
        name=name,
        pipeline=str(index.get("_class_name", "unknown pipeline")),
        scheduler=_class_in(index, "scheduler"),
        denoisers=found,
    )


def _denoiser(place: str, folder: Path) -> Denoiser:
    config = _read(folder / "config.json")
    return Denoiser(
        place=place,
        class_name=str(config.get("_class_name", "unknown class")),
        config={key: value for key, value in config.items() if not key.startswith("_")},
    )


def _class_in(index: dict[str, Any], place: str) -> str | None:
    """Return the class of a component, None where the pipeline has none."""
    entry = index.get(place)
    if not isinstance(entry, list) or len(entry) != 2 or entry[1] is None:
        return None
    return str(entry[1])


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnsupportedModelError(
            f"{path.parent.name}/{path.name} must be JSON that can be read: {error}"
        ) from None
    if not isinstance(content, dict):
        raise UnsupportedModelError(
            f"{path.parent.name}/{path.name} must hold one JSON object, "
            f"got a {type(content).__name__}"
        )
    return content
