"""The emoji art: 32 sprites of 64 x 64 pixels on one sheet, found by caption word.

Art: Noto Emoji (Apache-2.0), see NOTICE beside this file.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

SHEET = Path(__file__).with_name("sprites.png")
POSITIONS = Path(__file__).with_name("sprites.json")


@cache
def load_sprites(size_px: int = 40) -> Tensor:
    """Give all sprites, alpha-premultiplied and scaled down to `size_px`.

    Returns:
        Float tensor ``(sprites, 4, size_px, size_px)`` in [0, 1], in the order of `sprite_names`.
    """
    layout = json.loads(POSITIONS.read_text())
    cell = layout["cell_px"]
    with Image.open(SHEET) as sheet:
        pixels = np.asarray(sheet.convert("RGBA"), dtype=np.float32) / 255
    sprites = []
    for sprite in layout["sprites"].values():
        x, y = sprite["x"], sprite["y"]
        art = torch.from_numpy(pixels[y : y + cell, x : x + cell]).permute(2, 0, 1)
        sprites.append(torch.cat([art[:3] * art[3:], art[3:]]))
    return F.interpolate(
        torch.stack(sprites), (size_px, size_px), mode="bilinear", antialias=True
    ).clamp(0, 1)


@cache
def sprite_names() -> tuple[str, ...]:
    """Name the sprites in sheet order."""
    return tuple(json.loads(POSITIONS.read_text())["sprites"])
