"""The residual and transformer blocks of UNets of the latent-diffusion family, as sizes.

Two residual blocks a level on the way down, three on the way up, two in the middle; where a level
attends, one transformer block follows each of its residual blocks. Source: the public configuration
of Stable Diffusion v1; the others use the same code with other levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a UNet."""

    channels: int
    pixels: int
    attends: bool


@dataclass(frozen=True, slots=True)
class Convolution:
    """A 3 x 3 convolution as a matrix product: `rows` pixels of `inner` inputs to `columns`."""

    rows: int
    inner: int
    columns: int


def unet_blocks(levels: tuple[Level, ...]) -> list[tuple[int, Level]]:
    """Return how many transformer blocks each level has: 2 down, 3 up; the middle has one."""
    blocks = [(5, level) for level in levels if level.attends]
    return [*blocks, (1, levels[-1])]


def unet_convolutions(levels: tuple[Level, ...], frames: int = 1) -> tuple[Convolution, ...]:
    """Return every 3 x 3 convolution of the residual blocks and resamplers, for one sample."""
    return tuple(
        Convolution(frames * pixels, 9 * inputs, outputs)
        for pixels, inputs, outputs in (*_down(levels), *_middle(levels), *_up(levels))
    )


def _residual(pixels: int, inputs: int, outputs: int) -> Iterator[tuple[int, int, int]]:
    yield pixels, inputs, outputs
    yield pixels, outputs, outputs


def _down(levels: tuple[Level, ...]) -> Iterator[tuple[int, int, int]]:
    inputs = levels[0].channels
    for index, level in enumerate(levels):
        for _ in range(2):
            yield from _residual(level.pixels, inputs, level.channels)
            inputs = level.channels
        if index + 1 < len(levels):
            yield levels[index + 1].pixels, inputs, inputs


def _middle(levels: tuple[Level, ...]) -> Iterator[tuple[int, int, int]]:
    last = levels[-1]
    for _ in range(2):
        yield from _residual(last.pixels, last.channels, last.channels)


def _up(levels: tuple[Level, ...]) -> Iterator[tuple[int, int, int]]:
    skips = [levels[0].channels]
    for index, level in enumerate(levels):
        skips += [level.channels] * 2 + [level.channels] * (index + 1 < len(levels))
    inputs = levels[-1].channels
    for index in reversed(range(len(levels))):
        level = levels[index]
        for _ in range(3):
            yield from _residual(level.pixels, inputs + skips.pop(), level.channels)
            inputs = level.channels
        if index:
            yield levels[index - 1].pixels, inputs, inputs
