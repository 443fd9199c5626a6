"""Pixels of scenes: emoji-motion clips and emoji-scene pictures, a batch at a time.

Infinite and deterministic: a scene's pixels depend on the scene and the grid, never on the batch.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from recipes.zoo.backgrounds import num_background_uniforms, render_backgrounds
from recipes.zoo.scenes import MotionScene, PictureScene, layout_uniforms
from recipes.zoo.sprites import load_sprites, sprite_names
from tenuto.zoo.words import MOTIONS

NUM_PATH, NUM_PARTS = 8, 2
NUM_PART = 4  # uniforms for one emoji of a picture: size, x, y, tilt
TAU = 2 * math.pi
CLIP_FRAMES = 16  # speeds are those of a clip of this length; shorter clips show part of it


@dataclass(frozen=True, slots=True)
class Grid:
    """Size of a clip: frames, then pixels."""

    num_frames: int
    height: int
    width: int

    @property
    def sprite_px(self) -> tuple[int, int]:
        """Smallest and largest emoji."""
        return (24, 36) if min(self.height, self.width) >= 64 else (20, 34)


def render_clips(scenes: list[MotionScene], grid: Grid) -> Tensor:
    """Render one clip per scene.

    Returns:
        ``(scenes, 3, num_frames, height, width)`` in [-1, 1].
    """
    uniforms = torch.from_numpy(
        layout_uniforms(
            [scene.seed for scene in scenes],
            NUM_PATH + num_background_uniforms(grid.height, grid.width),
        )
    )
    names = [scene.background for scene in scenes]
    behind = render_backgrounds(names, uniforms[:, NUM_PATH:], grid.height, grid.width)
    path = _path([scene.motion for scene in scenes], uniforms[:, :NUM_PATH].T[:, :, None], grid)
    sprite_index = [sprite_names().index(scene.object) for scene in scenes]
    sprites = load_sprites()[sprite_index].repeat_interleave(grid.num_frames, dim=0)
    emoji = _place(sprites, path.flatten(1), grid.height, grid.width)
    emoji = emoji.unflatten(0, (len(scenes), grid.num_frames))
    clips = emoji[:, :, :3] + (1 - emoji[:, :, 3:]) * behind[:, None]
    return (clips * 2 - 1).transpose(1, 2).contiguous()


def render_pictures(scenes: list[PictureScene], height: int = 64, width: int = 64) -> Tensor:
    """Render one picture per scene, ``(scenes, 3, height, width)`` in [-1, 1]."""
    num_placed = NUM_PART * NUM_PARTS
    uniforms = torch.from_numpy(
        layout_uniforms(
            [scene.seed for scene in scenes], num_placed + num_background_uniforms(height, width)
        )
    )
    names = [scene.background for scene in scenes]
    pictures = render_backgrounds(names, uniforms[:, num_placed:], height, width)
    for part in range(NUM_PARTS):
        rows = [index for index, scene in enumerate(scenes) if len(scene.parts) > part]
        if not rows:
            continue
        drawn = uniforms[rows, part * NUM_PART : (part + 1) * NUM_PART]
        layout = torch.stack(
            [
                _part_layout(scenes[row], part, u, height, width)
                for row, u in zip(rows, drawn, strict=True)
            ],
            dim=1,
        )
        sprites = load_sprites()[[sprite_names().index(scenes[row].parts[part][1]) for row in rows]]
        emoji = _place(sprites, layout, height, width)
        pictures[rows] = emoji[:, :3] + (1 - emoji[:, 3:]) * pictures[rows]
    return pictures * 2 - 1


def _path(motions: list[str], uniforms: Tensor, grid: Grid) -> Tensor:
    """Give x, y, size (pixels) and angle (radians) of each frame, ``(4, scenes, frames)``."""
    u = uniforms
    height, width = grid.height, grid.width
    time = torch.linspace(0, 1, grid.num_frames)[None]
    shown = grid.num_frames / CLIP_FRAMES
    low, high = grid.sprite_px
    start_size = low + (high - low) * u[0]
    margin = start_size * 0.45
    x0 = margin + (width - 2 * margin).clamp(min=0) * u[1]
    y0 = margin + (height - 2 * margin).clamp(min=0) * u[2]
    travel = (1 + u[3]) * grid.num_frames * (time - 0.5)  # 1 to 2 pixels a frame
    across, down = (0.35 + 0.3 * u[4]) * width, (0.35 + 0.3 * u[4]) * height
    turn = (u[5] - 0.5) * 0.6 + TAU * shown * (0.7 + 0.4 * u[6]) * time
    hop = torch.sin(math.pi * (2 * shown * time + u[5])).abs() * (0.25 + 0.2 * u[6]) * height
    is_motion = {
        name: torch.tensor([motion == name for motion in motions])[:, None] for name in MOTIONS
    }
    x = torch.where(is_motion["moves left"], across - travel, x0.expand_as(travel))
    x = torch.where(is_motion["moves right"], across + travel, x)
    y = torch.where(is_motion["moves up"], down - travel, y0.expand_as(travel))
    y = torch.where(is_motion["moves down"], down + travel, y)
    y = torch.where(is_motion["bounces"], height - start_size * 0.5 - 2 - hop, y)
    size = torch.where(is_motion["grows"], start_size * (0.6 + 0.6 * shown * time), start_size)
    size = torch.where(is_motion["shrinks"], start_size * (0.6 + 0.6 * shown * (1 - time)), size)
    angle = torch.where(is_motion["spins"], turn, 0.0)
    return torch.stack([x, y, size, angle])


def _part_layout(scene: PictureScene, part: int, u: Tensor, height: int, width: int) -> Tensor:
    """Give x, y, size and tilt of one emoji; two share the width, one in each half."""
    is_big, alone = scene.parts[part][0] == "big", len(scene.parts) == 1
    low, high = {
        (True, True): (28, 36),
        (True, False): (24, 32),
        (False, True): (16, 22),
        (False, False): (16, 20),
    }[is_big, alone]
    size = low + (high - low) * u[0]
    margin = size * 0.45
    left, right = margin, width - margin
    if not alone:
        left, right = (margin, width / 2 - 4) if part == 0 else (width / 2 + 4, width - margin)
    x = left + (right - left) * u[1]
    y = margin + (height - 2 * margin).clamp(min=0) * u[2]
    return torch.stack([x, y, size, (u[3] - 0.5) * 0.7])


def _place(sprites: Tensor, layout: Tensor, height: int, width: int) -> Tensor:
    """Draw each premultiplied RGBA sprite at its (x, y, size, angle) on an empty canvas."""
    x, y, size, angle = layout[:, :, None, None]
    row, column = torch.meshgrid(
        torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij"
    )
    dx, dy, half = column - x, row - y, size / 2
    cos, sin = angle.cos(), angle.sin()
    where = torch.stack([(cos * dx + sin * dy) / half, (cos * dy - sin * dx) / half], dim=-1)
    return F.grid_sample(sprites, where, align_corners=False)
