"""Eight procedural backgrounds, a batch at a time, from uniforms drawn per seed."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TAU = 6.2832
NOISE_CELLS = 5
NUM_SETTINGS = 11  # uniforms for colours (6), horizon (4) and wave phase (1)
NUM_NOISE = NOISE_CELLS**2


@dataclass(frozen=True, slots=True)
class Look:
    """Colours from top to bottom, where the ground starts (None: a smooth gradient), texture."""

    top: tuple[int, int, int]
    bottom: tuple[int, int, int]
    horizon: float | None
    texture: str


LOOKS = {
    "sky": Look((70, 140, 230), (190, 225, 250), None, "cloud"),
    "sunset": Look((90, 50, 130), (255, 150, 70), None, "band"),
    "night": Look((8, 8, 35), (40, 40, 95), None, "stars"),
    "meadow": Look((130, 200, 245), (60, 150, 50), 0.55, "ground"),
    "desert": Look((245, 220, 160), (215, 165, 90), 0.60, "ground"),
    "sea": Look((30, 120, 180), (10, 50, 110), None, "wave"),
    "snow": Look((200, 215, 235), (245, 248, 252), 0.60, "ground"),
    "lava": Look((60, 10, 10), (230, 80, 20), None, "blob"),
}


def num_stars(height: int, width: int) -> int:
    """Say how many stars a night of this size has."""
    return max(3, height * width // 200)


def num_background_uniforms(height: int, width: int) -> int:
    """Say how many uniforms `render_backgrounds` needs for one picture."""
    return NUM_SETTINGS + NUM_NOISE + 3 * num_stars(height, width)


def render_backgrounds(names: list[str], uniforms: Tensor, height: int, width: int) -> Tensor:
    """Paint one background per name.

    Args:
        names: One of `LOOKS` per picture.
        uniforms: ``(pictures, num_background_uniforms(height, width))`` in [0, 1).
        height: Pixels.
        width: Pixels.

    Returns:
        ``(pictures, 3, height, width)`` in [0, 1].
    """
    pictures = torch.empty(len(names), 3, height, width)
    for name in sorted(set(names)):
        rows = [index for index, other in enumerate(names) if other == name]
        pictures[rows] = _paint(LOOKS[name], uniforms[rows], height, width)
    return pictures


def _paint(look: Look, uniforms: Tensor, height: int, width: int) -> Tensor:
    settings, noise, stars = uniforms.split(
        [NUM_SETTINGS, NUM_NOISE, 3 * num_stars(height, width)], dim=1
    )
    jitter = (settings[:, :6].reshape(-1, 2, 3) - 0.5) * 24
    ends = (torch.tensor([look.top, look.bottom]) + jitter).clamp(0, 255) / 255
    ground = _ground_share(look.horizon, settings[:, 6:10], height, width)[:, None]
    base = ends[:, 0, :, None, None] * (1 - ground) + ends[:, 1, :, None, None] * ground
    cells = noise.reshape(-1, 1, NOISE_CELLS, NOISE_CELLS)
    soft = F.interpolate(cells, (height, width), mode="bicubic", align_corners=True)
    if look.texture == "stars":
        glow = _star_glow(stars.reshape(-1, num_stars(height, width), 3), height, width)
        return (base + glow * (1 - base)).clamp(0, 1)
    return _texture(look.texture, base, soft, settings[:, 10]).clamp(0, 1)


def _ground_share(horizon: float | None, settings: Tensor, height: int, width: int) -> Tensor:
    """Give ``(pictures, height, width)``: 0 at the top, 1 at the bottom or below the horizon."""
    y = torch.linspace(0, 1, height)[None, :, None]
    if horizon is None:
        return y.expand(len(settings), height, width)
    level, wobble, frequency, phase = settings.T[:, :, None]
    x = torch.linspace(0, 1, width)[None]
    edge = horizon + (level - 0.5) * 0.2
    edge = edge + (wobble - 0.5) * 0.08 * torch.sin(x * (3 + 4 * frequency) + TAU * phase)
    return torch.sigmoid((y - edge[:, None]) * height * 0.8)


def _texture(texture: str, base: Tensor, soft: Tensor, phase: Tensor) -> Tensor:
    height, width = base.shape[-2:]
    y = torch.linspace(0, 1, height)[None, None, :, None]
    match texture:
        case "cloud":
            cloud = ((soft - 0.5) * 3).clamp(0, 1) * (1 - y) * 0.8
            return base * (1 - cloud) + cloud
        case "wave":
            x = torch.linspace(0, TAU, width)
            bend = 1.2 * torch.sin(x * 2 + TAU * phase[:, None, None, None])
            return base + torch.sin(y * height / 4.5 + bend) * 0.05
        case "blob":
            glow = ((soft - 0.45) * 0.7).clamp(-0.1, 0.4)
            return base + glow * torch.tensor([1.0, 0.45, 0.1])[:, None, None]
        case "band":
            return base + torch.sin(y * 22 + soft.mean(3, keepdim=True) * 6) * 0.035
        case _:
            return base * (1 + (soft - 0.5) * 0.16)


def _star_glow(stars: Tensor, height: int, width: int) -> Tensor:
    """Light a pixel per star, softly; ``(pictures, stars, 3)`` holds row, column, brightness."""
    row = (stars[..., 0] * height).long().clamp(max=height - 1)
    column = (stars[..., 1] * width).long().clamp(max=width - 1)
    sky = torch.zeros(len(stars), height * width)
    # amax, not a plain write: two stars on one pixel must give the same night every time
    sky.scatter_reduce_(1, row * width + column, stars[..., 2] * 0.7 + 0.3, "amax")
    sky = sky.reshape(-1, 1, height, width)
    return F.avg_pool2d(sky, 3, 1, padding=1) * 2.2 + sky * 0.7
