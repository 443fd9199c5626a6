"""Calibrations: a schedule, and forecast weights, measured for one model, sampler and step count.

A calibration is one safetensors file: tensors, and everything else as JSON in its metadata.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tenuto.errors import CalibrationError

_FORMAT = "tenuto-calibration-1"
_ENTRIES = 8
"""Entries of each parameter that the fingerprint of a model looks at."""
_SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """What `tenuto calibrate` measured and chose.

    Attributes:
        model: Fingerprint of the transformer, see `model_fingerprint`.
        scheduler: Fingerprint of the scheduler, see `scheduler_fingerprint`.
        ratios: For each step, 0 where it is dense; elsewhere the share of the tokens not computed
            in a composition, and any other number in a calibration of steps alone.
        pmr: (steps, steps) Pair Match Ratio, float32 in [0, 1]; None where not measured.
        forecast_weights: (steps, outputs, channels) for ``predict="fitted"``, float32; None where
            not measured.
        techniques: Of a composition: fields of each technique by its name, see
            `tenuto.integration.composed`; None for a calibration of steps alone.
        notes: Anything else worth keeping: how it was made, on how many prompts, versions.
    """

    model: str
    scheduler: str
    ratios: tuple[float, ...]
    pmr: Tensor | None = None
    forecast_weights: Tensor | None = None
    techniques: dict[str, dict[str, Any]] | None = None
    notes: dict[str, Any]

    def check_model(self, model: nn.Module) -> None:
        """Raise CalibrationError where the calibration is for another model."""
        found = model_fingerprint(model)
        if found != self.model:
            raise CalibrationError(
                f"the calibration must be for this model, got one for {self.model}, not {found}"
            )

    def check_run(self, num_steps: int | None, scheduler: Any | None) -> None:
        """Raise CalibrationError where a run has other steps or another scheduler."""
        if num_steps is None or scheduler is None:
            raise CalibrationError(
                "a calibration must be used with a pipeline: a bare transformer does not tell its "
                "scheduler and number of steps"
            )
        if num_steps != len(self.ratios):
            raise CalibrationError(
                f"`num_inference_steps` must be {len(self.ratios)}, as calibrated, got {num_steps}"
            )
        found = scheduler_fingerprint(scheduler)
        if found != self.scheduler:
            raise CalibrationError(
                f"the scheduler must be as calibrated, {self.scheduler}, got {found}"
            )


def fingerprints(pipe: Any) -> tuple[str, str]:
    """Return the fingerprints of a pipeline's transformer and scheduler."""
    return model_fingerprint(pipe.transformer), scheduler_fingerprint(pipe.scheduler)


def model_fingerprint(model: nn.Module) -> str:
    """Return the class of a transformer and a digest of its configuration and weights.

    Of each parameter a few entries spread over it are taken: enough to notice fine-tuning or a
    fused LoRA, and quick for large models. Single precision and half give different fingerprints.
    """
    config = {k: v for k, v in dict(model.config).items() if not k.startswith("_")}  # type: ignore[arg-type]
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    samples = []
    for parameter in model.parameters():
        flat = parameter.detach().flatten()
        sample = flat[:: max(1, flat.numel() // _ENTRIES)][:_ENTRIES].double()
        samples.append(" ".join(f"{value:.6e}" for value in sample.tolist()))
    # Sorted: other libraries (cache-dit) leave the modules in another order behind.
    digest.update("\n".join(sorted(samples)).encode())
    return f"{type(model).__name__}-{digest.hexdigest()[:12]}"


def scheduler_fingerprint(scheduler: Any) -> str:
    """Return the class of a scheduler and a digest of its configuration."""
    config = {k: v for k, v in dict(scheduler.config).items() if not k.startswith("_")}
    text = json.dumps(config, sort_keys=True, default=str)
    return f"{type(scheduler).__name__}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration; the file appears whole or not at all."""
    tensors = {"ratios": torch.tensor(calibration.ratios, dtype=torch.float64)}
    for name in ("pmr", "forecast_weights"):
        tensor = getattr(calibration, name)
        if tensor is not None:
            tensors[name] = tensor.contiguous()
    metadata = {
        "format": _FORMAT,
        "model": calibration.model,
        "scheduler": calibration.scheduler,
        "notes": json.dumps(calibration.notes),
    }
    if calibration.techniques is not None:
        metadata["techniques"] = json.dumps(calibration.techniques)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, partial, metadata=metadata)
    except SafetensorError as error:  # a full disk, a read-only folder
        partial.unlink(missing_ok=True)
        raise CalibrationError(f"{path} could not be written: {error}") from None
    partial.replace(path)


def load_calibration(name_or_path: str) -> Calibration:
    """Load a calibration by the path of its file, or one that ships with the package by its name.

    Raises:
        CalibrationError: There is none, or the file is no calibration.
    """
    path = Path(name_or_path)
    if path.is_file():
        return _load(path)
    folder = files("tenuto") / "presets"
    resource = folder / f"{name_or_path}{_SUFFIX}"
    if resource.is_file():
        with as_file(resource) as file:
            return _load(file)
    known = (
        sorted(f.name[: -len(_SUFFIX)] for f in folder.iterdir() if f.name.endswith(_SUFFIX))
        if folder.is_dir()
        else []
    )
    raise CalibrationError(
        f"`schedule` must be a calibration's file or one of {known}, got {name_or_path!r}"
    )


def _load(path: Path) -> Calibration:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, LookupError) as error:
        raise CalibrationError(f"{path.name} must be a safetensors file: {error}") from None
    if metadata.get("format") != _FORMAT or "ratios" not in tensors:
        raise CalibrationError(
            f"{path.name} must be of format {_FORMAT}, got {metadata.get('format')!r}"
        )
    missing = sorted({"model", "scheduler", "notes"} - set(metadata))
    if missing:
        raise CalibrationError(f"{path.name} must say what it is for, but has no {missing}")
    _check_tensors(path.name, tensors)
    return Calibration(
        model=metadata["model"],
        scheduler=metadata["scheduler"],
        ratios=tuple(float(r) for r in tensors["ratios"]),
        pmr=tensors.get("pmr"),
        forecast_weights=tensors.get("forecast_weights"),
        techniques=_from_json(path, metadata, "techniques") if "techniques" in metadata else None,
        notes=_from_json(path, metadata, "notes"),
    )


def _from_json(path: Path, metadata: dict[str, str], name: str) -> Any:
    """Return an entry of the metadata that is a JSON object."""
    try:
        found = json.loads(metadata[name])
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"{path.name} must have {name} in JSON: {error}") from None
    if not isinstance(found, dict) or (
        name == "techniques" and not all(isinstance(fields, dict) for fields in found.values())
    ):
        raise CalibrationError(f"{path.name} must have a table of {name}, got {found!r}")
    return found


def _check_tensors(name: str, tensors: dict[str, Tensor]) -> None:
    """Raise CalibrationError where a tensor is not of its shape, or not a number."""
    steps = tensors["ratios"].numel()
    shapes: dict[str, tuple[int | None, ...]] = {
        "ratios": (steps,),
        "pmr": (steps, steps),
        "forecast_weights": (steps, None, None),
    }
    for key in shapes.keys() & tensors.keys():
        tensor, wanted = tensors[key], shapes[key]
        fits = tensor.ndim == len(wanted) and all(
            size in (None, found) for size, found in zip(wanted, tensor.shape, strict=True)
        )
        if not fits or not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            shape = tuple(tensor.shape)
            raise CalibrationError(
                f"`{key}` of {name} must be finite numbers of shape {wanted}, got {shape}"
            )
    ratios = tensors["ratios"]
    if not bool(((ratios >= 0) & (ratios <= 1)).all()):
        raise CalibrationError(f"`ratios` of {name} must lie in [0, 1], got {ratios.tolist()[:8]}")
