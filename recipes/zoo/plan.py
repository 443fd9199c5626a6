"""What is trained when: grids by tokens seen, learning rate, and the two tasks.

Progress is counted in tokens (patches through the network), never in time: a paused or slowed run
takes the same steps as an undisturbed one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from recipes.zoo import models
from recipes.zoo.render import Grid, render_clips, render_pictures
from recipes.zoo.scenes import draw_motion_scene, draw_picture_scene


@dataclass(frozen=True, slots=True)
class Lot:
    """One kind of batch: so many samples of one grid, and its share of the steps."""

    num_samples: int
    grid: Grid
    share: float


@dataclass(frozen=True, slots=True)
class Stage:
    """The mix of lots drawn until `until_tokens` have been seen."""

    until_tokens: float
    lots: tuple[Lot, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """All that differs between training the video and the image model."""

    name: str
    config: dict
    build: Callable
    predict: Callable
    render: Callable[[range, Grid], tuple[Tensor, list[str]]]
    num_words: int
    patch: tuple[int, int, int]
    stages: tuple[Stage, ...]
    tiny_stages: tuple[Stage, ...]

    def num_tokens(self, lot: Lot) -> int:
        """Count the patches of one batch."""
        frames, rows, columns = self.patch
        grid = lot.grid
        per_sample = (grid.num_frames // frames) * (grid.height // rows) * (grid.width // columns)
        return lot.num_samples * per_sample


def lot_of(stages: tuple[Stage, ...], tokens_seen: int, draw: float) -> Lot:
    """Choose the lot of a step: the stage by progress, the lot in it by `draw` in [0, 1).

    Small clips teach shapes cheaply. Sizes stay mixed to the end: one rotary embedding serves all
    of them, and a model that last saw one size paints second copies near the borders of another.
    """
    stage = next((stage for stage in stages if tokens_seen < stage.until_tokens), stages[-1])
    total = 0.0
    for lot in stage.lots:
        total += lot.share
        if draw < total:
            return lot
    return stage.lots[-1]


def lr_factor(step: int, tokens_seen: int, total_tokens: float, warmup: int = 100) -> float:
    """Ramp up over `warmup` steps, stay at 1, fall linearly over the last third of the tokens."""
    ramp = min(1.0, (step + 1) / warmup)
    left = 1 - tokens_seen / total_tokens
    return ramp * min(1.0, max(0.02, left * 3))


def clips_of(seeds: range, grid: Grid) -> tuple[Tensor, list[str]]:
    """Render the training clips of `seeds` with their captions."""
    scenes = [draw_motion_scene(seed) for seed in seeds]
    return render_clips(scenes, grid), [scene.caption for scene in scenes]


def pictures_of(seeds: range, grid: Grid) -> tuple[Tensor, list[str]]:
    """Render the training pictures of `seeds` with their captions; two objects need room."""
    max_objects = 2 if grid.width >= 64 else 1
    scenes = [draw_picture_scene(seed, max_objects=max_objects) for seed in seeds]
    return render_pictures(scenes, grid.height, grid.width), [scene.caption for scene in scenes]


SMALL_CLIPS, MIDDLE_CLIPS = (32, Grid(4, 40, 40)), (12, Grid(8, 48, 48))
SHORT_CLIPS, FULL_CLIPS = (12, Grid(4, 64, 64)), (4, Grid(16, 64, 64))
VIDEO_STAGES = (
    Stage(3.0e6, (Lot(*SMALL_CLIPS, 0.85), Lot(*MIDDLE_CLIPS, 0.10), Lot(*SHORT_CLIPS, 0.05))),
    Stage(
        5.0e6,
        (
            Lot(*SMALL_CLIPS, 0.30),
            Lot(*MIDDLE_CLIPS, 0.40),
            Lot(*SHORT_CLIPS, 0.10),
            Lot(*FULL_CLIPS, 0.20),
        ),
    ),
    Stage(
        torch.inf,
        (
            Lot(*SMALL_CLIPS, 0.10),
            Lot(*MIDDLE_CLIPS, 0.10),
            Lot(*SHORT_CLIPS, 0.10),
            Lot(*FULL_CLIPS, 0.70),
        ),
    ),
)
SMALL_PICTURES, FULL_PICTURES = (24, Grid(1, 40, 40)), (8, Grid(1, 64, 64))
IMAGE_STAGES = (
    Stage(10e6, (Lot(*SMALL_PICTURES, 0.80), Lot(*FULL_PICTURES, 0.20))),
    Stage(torch.inf, (Lot(*SMALL_PICTURES, 0.15), Lot(*FULL_PICTURES, 0.85))),
)
VIDEO = Task(
    name="emoji-video",
    config=models.VIDEO_CONFIG,
    build=models.build_video,
    predict=models.predict_video,
    render=clips_of,
    num_words=models.VIDEO_WORDS,
    patch=(2, 8, 8),
    stages=VIDEO_STAGES,
    tiny_stages=(Stage(torch.inf, (Lot(8, Grid(2, 16, 16), 0.5), Lot(4, Grid(4, 24, 24), 0.5))),),
)
IMAGE = Task(
    name="emoji-image",
    config=models.IMAGE_CONFIG,
    build=models.build_image,
    predict=models.predict_image,
    render=pictures_of,
    num_words=models.IMAGE_WORDS,
    patch=(1, 4, 4),
    stages=IMAGE_STAGES,
    tiny_stages=(Stage(torch.inf, (Lot(8, Grid(1, 16, 16), 0.5), Lot(4, Grid(1, 24, 24), 0.5))),),
)
TASKS = {"video": VIDEO, "image": IMAGE}
