"""Write a sample as a picture or an animation."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

_FRAME_MS = 100


def check_suffix(path: Path) -> None:
    """Raise ValueError unless `write_sample` knows the format."""
    if path.suffix not in (".webp", ".png", ".gif"):
        raise ValueError(f"`--out` must end in .webp, .png or .gif, got {str(path)!r}")


def write_sample(sample: Tensor, path: Path) -> None:
    """Write a sample as WebP, PNG or GIF, animated where it has several frames.

    Args:
        sample: (frames, 3, height, width) in [0, 1].
        path: Its suffix decides the format.

    Raises:
        ValueError: The suffix is none of these.
    """
    from PIL import Image

    check_suffix(path)
    pixels = (sample * 255).round().byte().permute(0, 2, 3, 1).numpy().astype(np.uint8)
    frames = [Image.fromarray(frame) for frame in pixels]
    options: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:]}
        options |= {"duration": _FRAME_MS, "loop": 0}
    frames[0].save(path, **options)
