"""Token grids of the supported transformers, from their inputs."""

from typing import Any

import torch
from torch import Tensor, nn

from tenuto.integration.family import Grid, Inputs


def patch_grid(model: nn.Module, inputs: Inputs) -> Grid:
    """Latent axes divided by the patch size, (frames,) rows, columns."""
    patch: Any = model.config.patch_size  # type: ignore[union-attr]
    axes = inputs["hidden_states"].shape[2:]
    sizes = patch if isinstance(patch, tuple | list) else (patch,) * len(axes)
    return tuple(axis // size for axis, size in zip(axes, sizes, strict=True))


def video_patch_grid(model: nn.Module, inputs: Inputs) -> Grid:
    """Frames divided by the patch size in time (1 if none), rows and columns by that in space."""
    config: Any = model.config
    frames, rows, columns = inputs["hidden_states"].shape[2:]
    size, frames_size = config.patch_size, getattr(config, "patch_size_t", None) or 1
    return frames // frames_size, rows // size, columns // size


def frames_first_grid(model: nn.Module, inputs: Inputs) -> Grid:
    """Frames, rounded up, rows and columns divided by the patch sizes in time and space."""
    config: Any = model.config
    _, frames, _, rows, columns = inputs["hidden_states"].shape
    size, frames_size = config.patch_size, config.patch_size_t or 1
    return -(-frames // frames_size), rows // size, columns // size


def position_id_grid(model: nn.Module, inputs: Inputs) -> Grid | None:
    """Rows and columns from the position ids, where those count up one image row by row."""
    del model
    ids: Tensor = inputs["img_ids"]
    ids = ids[0] if ids.ndim == 3 else ids
    rows, columns = (int(x) + 1 for x in ids[:, 1:].amax(0).tolist())
    if ids.shape[0] != rows * columns:
        return None
    index = torch.arange(rows * columns, device=ids.device)
    expected = torch.stack([index // columns, index % columns], 1).to(ids.dtype)
    return (rows, columns) if torch.equal(ids[:, 1:], expected) else None


def told_grid(model: nn.Module, inputs: Inputs) -> Grid | None:
    """The arguments `num_frames`, `height` and `width`; unknown where they are not given."""
    del model
    axes = [inputs.get(name) for name in ("num_frames", "height", "width")]
    return None if None in axes else tuple(int(axis) for axis in axes if axis is not None)


def image_shape_grid(model: nn.Module, inputs: Inputs) -> Grid | None:
    """Frames, rows and columns from `img_shapes`, where every sample is one image of one shape."""
    del model
    shapes = [sample if isinstance(sample, list) else [sample] for sample in inputs["img_shapes"]]
    if any(len(sample) != 1 or sample != shapes[0] for sample in shapes):
        return None
    frames, rows, columns = (int(axis) for axis in shapes[0][0])
    return (rows, columns) if frames == 1 else (frames, rows, columns)
