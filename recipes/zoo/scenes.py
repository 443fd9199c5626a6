"""What a clip or picture shows: scenes drawn from integer seeds, and their captions.

A scene is decided before a pixel exists and its caption is a function of the scene, so caption and
content cannot disagree. Held-out combinations are never in the list that scenes are drawn from.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from tenuto.zoo.held_out import is_held_out, is_held_out_scene
from tenuto.zoo.words import MOTIONS, SIZES, TRAINED_BACKGROUNDS, TRAINED_OBJECTS

FIRST_TRAINING_SEED = 10_000_000  # smaller seeds are never trained on
SCENE_STREAM, LAYOUT_STREAM = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionScene:
    """One emoji in motion over a background."""

    seed: int
    object: str
    background: str
    motion: str

    @property
    def caption(self) -> str:
        return f"a {self.object} {self.motion} over the {self.background}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureScene:
    """One or two emoji, each ``(size, object)`` from left to right, over a background."""

    seed: int
    parts: tuple[tuple[str, str], ...]
    background: str

    @property
    def caption(self) -> str:
        named = " and ".join(f"a {size} {thing}" for size, thing in self.parts)
        return f"{named} over the {self.background}"


@cache
def motion_combinations(held_out: bool) -> tuple[tuple[str, str, str], ...]:
    """List the (object, background, motion) triples of one split."""
    triples = product(TRAINED_OBJECTS, TRAINED_BACKGROUNDS, MOTIONS)
    return tuple(triple for triple in triples if is_held_out(*triple) == held_out)


@cache
def picture_combinations(num_objects: int, held_out: bool) -> tuple[tuple[tuple, str], ...]:
    """List the (parts, background) pairs with `num_objects` parts of one split."""
    part = tuple(product(SIZES, TRAINED_OBJECTS))
    pairs = product(product(part, repeat=num_objects), TRAINED_BACKGROUNDS)
    return tuple(pair for pair in pairs if is_held_out_scene(*pair) == held_out)


def draw_motion_scene(seed: int, held_out: bool = False) -> MotionScene:
    """Choose what the clip of `seed` shows, every combination of the split equally often."""
    combinations = motion_combinations(held_out)
    index = np.random.default_rng((seed, SCENE_STREAM)).integers(len(combinations))
    thing, background, motion = combinations[index]
    return MotionScene(seed=seed, object=thing, background=background, motion=motion)


def draw_picture_scene(seed: int, held_out: bool = False, max_objects: int = 2) -> PictureScene:
    """Choose what the picture of `seed` shows; one or two objects are equally likely."""
    rng = np.random.default_rng((seed, SCENE_STREAM))
    combinations = picture_combinations(int(rng.integers(max_objects)) + 1, held_out)
    parts, background = combinations[rng.integers(len(combinations))]
    return PictureScene(seed=seed, parts=parts, background=background)


def layout_uniforms(seeds: list[int], num_values: int) -> np.ndarray:
    """Give ``(seeds, num_values)`` uniforms in [0, 1); a row depends on its own seed only."""
    rows = [np.random.default_rng((seed, LAYOUT_STREAM)).random(num_values) for seed in seeds]
    return np.stack(rows).astype(np.float32)
