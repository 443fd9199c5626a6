"""Presets: techniques as text in a ``tenuto.toml``, beside a model or anywhere else.

The file is data, never code: TOML, two known keys, specs that `techniques_of` reads strictly. What
it names (a calibration) must lie in the same folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tenuto.config import from_dict, from_toml
from tenuto.integration.composed import Composed, together
from tenuto.integration.composition import Technique
from tenuto.integration.technique_specs import techniques_of

FILE_NAME = "tenuto.toml"
_LARGEST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A named setting as plain values; its keys are those of a ``tenuto.toml``.

    Attributes:
        techniques: Specs such as ``dito:ratio=0.5,interval=3``, at least one.
        strict: As in `tenuto.accelerate`: raise when numbers stop being finite.
        description: What it is for, for people.

    Raises:
        ValueError: There is no technique.
    """

    techniques: tuple[str, ...]
    strict: bool = True
    description: str = ""

    def __post_init__(self) -> None:
        if not self.techniques:
            raise ValueError("`techniques` must name at least one technique, got ()")

    def build(self, folder: Path | None = None) -> tuple[Technique | Composed, ...]:
        """Make the techniques.

        Args:
            folder: Where calibrations that are named by a file lie; None takes them as they are.

        Raises:
            ValueError: A spec cannot be read, two techniques are of a kind, or a file is not in
                the folder.
        """
        built = tuple(t for spec in self.techniques for t in techniques_of(spec))
        together(built)  # refuses at once what cannot go together
        return built if folder is None else tuple(_placed(t, folder) for t in built)


def load(path: Path | str) -> tuple[Technique | Composed, ...]:
    """Return the techniques of a preset, for `tenuto.accelerate`.

    Args:
        path: A folder with a ``tenuto.toml`` (beside ``model_index.json``, say), or a TOML file.

    Raises:
        TypeError: A value of the file is of the wrong type.
        ValueError: There is no such file, or it cannot be read as a preset.
    """
    file = _file_of(Path(path))
    preset = read(file)
    try:
        return preset.build(file.parent)
    except ValueError as error:
        raise ValueError(f"{file.name}: {error}") from None


def read(path: Path | str) -> Preset:
    """Return a preset as it is written; arguments and errors as in `load`."""
    file = _file_of(Path(path))
    if file.stat().st_size > _LARGEST_BYTES:
        raise ValueError(
            f"{file.name} must have at most {_LARGEST_BYTES} bytes, got {file.stat().st_size}"
        )
    return from_toml(Preset, file)


def built(
    config: Preset | Mapping[str, object] | Path | str,
) -> tuple[tuple[Technique | Composed, ...], bool]:
    """Return the techniques of a preset in any of its forms, and whether it is strict.

    Args:
        config: A preset, the same as plain values, or where its file is.

    Raises:
        TypeError: It is something else, or a value is of the wrong type.
        ValueError: As `load`.
    """
    if isinstance(config, Path | str):
        return load(config), read(config).strict
    if isinstance(config, Mapping):
        config = from_dict(Preset, config, "config")
    if not isinstance(config, Preset):
        raise TypeError(
            "`config` must be a Preset, a mapping with its keys, or the path of a tenuto.toml or "
            f"of its folder, got {config!r}"
        )
    return config.build(), config.strict


def _file_of(path: Path) -> Path:
    """Return the file of a preset, which must not lead out of its folder."""
    if path.is_file():
        return path
    file = path / FILE_NAME
    if not file.is_file():
        raise ValueError(
            f"`path` must be a TOML file or a local folder with a {FILE_NAME}, got {str(path)!r} "
            "(of a model on a hub, give the folder that huggingface_hub.snapshot_download returns)"
        )
    _check_inside(file, path)
    return file


def _placed(technique: Any, folder: Path) -> Technique | Composed:
    """Return a technique whose calibration, where it is named by a file, is that of the folder."""
    schedule = getattr(technique, "schedule", None)
    if not isinstance(schedule, str) or not schedule.endswith(".safetensors"):
        return technique
    file = folder / schedule
    _check_inside(file, folder)
    if not file.is_file():
        raise ValueError(f"`schedule` must name a file beside the preset, got {schedule!r}")
    return replace(technique, schedule=str(file))


def _check_inside(file: Path, folder: Path) -> None:
    """Raise ValueError where a file lies outside a folder, links followed.

    A model hub's cache keeps a snapshot's files as links into ``blobs`` two folders up; those are
    part of the snapshot.
    """
    root, target = folder.resolve(), file.resolve()
    roots = [root]
    if root.parent.name == "snapshots":
        roots.append(root.parent.parent / "blobs")
    if not any(target.is_relative_to(allowed) for allowed in roots):
        raise ValueError(f"`file` must lie in the preset's own folder, got {str(file)!r}")
