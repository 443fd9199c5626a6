import numpy as np
import pytest
import torch
from recipes.zoo.backgrounds import LOOKS, num_background_uniforms, render_backgrounds
from recipes.zoo.render import Grid, render_clips, render_pictures
from recipes.zoo.scenes import (
    MotionScene,
    PictureScene,
    draw_motion_scene,
    draw_picture_scene,
    motion_combinations,
    picture_combinations,
)
from recipes.zoo.sprites import load_sprites, sprite_names

from tenuto.zoo.held_out import is_held_out, is_held_out_scene
from tenuto.zoo.words import BACKGROUNDS, MOTIONS, OBJECTS, TRAINED_OBJECTS, WORDS

SMALL = Grid(4, 40, 40)
NUM_SEEDS = 20_000


def clip_of(motion: str, thing: str = "sun", seed: int = 3) -> torch.Tensor:
    scene = MotionScene(seed=seed, object=thing, background="night", motion=motion)
    return render_clips([scene], Grid(16, 64, 64))[0]


def bright_pixels(clip: torch.Tensor) -> torch.Tensor:
    """The sun over the night: the red channel says where it is, ``(frames, height, width)``."""
    return (clip[0] > 0.4).float()


def centre(clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mask = bright_pixels(clip)
    weight = mask.sum((1, 2))
    y = (mask.sum(2) * torch.arange(mask.shape[1])).sum(1) / weight
    x = (mask.sum(1) * torch.arange(mask.shape[2])).sum(1) / weight
    return x, y


def test_the_same_seed_gives_the_same_clip_whatever_else_is_in_the_batch() -> None:
    scenes = [draw_motion_scene(seed) for seed in range(6)]

    together = render_clips(scenes, SMALL)
    alone = torch.cat([render_clips([scene], SMALL) for scene in scenes])

    assert torch.equal(together, render_clips(scenes, SMALL))
    assert torch.equal(together, alone)


def test_the_same_seed_gives_the_same_picture_whatever_else_is_in_the_batch() -> None:
    scenes = [draw_picture_scene(seed) for seed in range(8)]

    alone = torch.cat([render_pictures([scene]) for scene in scenes])

    assert {len(scene.parts) for scene in scenes} == {1, 2}
    assert torch.equal(render_pictures(scenes), alone)


def test_different_seeds_give_different_clips_of_one_scene() -> None:
    first, second = clip_of("spins", seed=1), clip_of("spins", seed=2)

    assert not torch.equal(first, second)


@pytest.mark.parametrize("grid", [SMALL, Grid(8, 48, 48), Grid(16, 64, 64), Grid(2, 16, 16)])
def test_clips_have_the_grid_s_shape_and_lie_in_range(grid: Grid) -> None:
    clips = render_clips([draw_motion_scene(seed) for seed in range(16)], grid)

    assert clips.shape == (16, 3, grid.num_frames, grid.height, grid.width)
    assert clips.dtype == torch.float32
    assert clips.min() >= -1.001 and clips.max() <= 1.001
    assert clips.std() > 0.2


def test_pictures_have_their_shape_and_lie_in_range() -> None:
    pictures = render_pictures([draw_picture_scene(seed) for seed in range(16)], 48, 56)

    assert pictures.shape == (16, 3, 48, 56)
    assert pictures.min() >= -1.001 and pictures.max() <= 1.001


def test_a_caption_names_what_is_shown_in_words_of_the_vocabulary() -> None:
    scene = MotionScene(seed=0, object="frog", background="night", motion="moves right")
    pair = PictureScene(seed=0, parts=(("big", "pig"), ("small", "frog")), background="meadow")

    assert scene.caption == "a frog moves right over the night"
    assert pair.caption == "a big pig and a small frog over the meadow"
    for seed in range(200):
        spoken = (draw_motion_scene(seed).caption + " " + draw_picture_scene(seed).caption).split()
        assert set(spoken) <= set(WORDS)


@pytest.mark.parametrize(
    ("motion", "axis", "sign"),
    [("moves left", 0, -1), ("moves right", 0, 1), ("moves up", 1, -1), ("moves down", 1, 1)],
)
def test_an_object_goes_where_the_caption_says(motion: str, axis: int, sign: int) -> None:
    path = centre(clip_of(motion))

    assert sign * (path[axis][-1] - path[axis][0]) > 8
    assert (path[1 - axis][-1] - path[1 - axis][0]).abs() < 3


def test_growing_shrinking_and_bouncing_look_like_it() -> None:
    area = {motion: bright_pixels(clip_of(motion)).sum((1, 2)) for motion in ("grows", "shrinks")}
    height = centre(clip_of("bounces"))[1]

    assert area["grows"][-1] > 2 * area["grows"][0]
    assert area["shrinks"][0] > 2 * area["shrinks"][-1]
    assert height.max() - height.min() > 10
    assert ((height[1:] - height[:-1]).sign().diff() != 0).sum() >= 2


def test_a_spinning_object_stays_and_turns() -> None:
    clip = clip_of("spins", thing="car")
    still, turned = clip[:, 0], clip[:, 8]

    assert (still - turned).abs().mean() > 0.02


def test_the_object_of_the_caption_is_the_one_drawn() -> None:
    sun, frog = clip_of("grows", "sun"), clip_of("grows", "frog")
    changed = (sun - frog).abs().amax((0, 1)) > 0.05

    assert changed.any()
    assert not changed.all()  # only the emoji differs; the background is the seed's


def test_no_held_out_combination_is_drawn_for_training_over_many_seeds() -> None:
    first = 10_000_000
    for seed in range(first, first + NUM_SEEDS):
        clip, picture = draw_motion_scene(seed), draw_picture_scene(seed)
        assert not is_held_out(clip.object, clip.background, clip.motion)
        assert not is_held_out_scene(picture.parts, picture.background)


def test_the_held_out_split_draws_held_out_combinations_only() -> None:
    for seed in range(500):
        clip = draw_motion_scene(seed, held_out=True)
        picture = draw_picture_scene(seed, held_out=True)
        assert is_held_out(clip.object, clip.background, clip.motion)
        assert is_held_out_scene(picture.parts, picture.background)


def test_about_one_combination_in_eight_is_held_out_and_no_word_or_pair_of_words_is() -> None:
    seen, unseen = motion_combinations(False), motion_combinations(True)

    assert len(unseen) / (len(seen) + len(unseen)) == pytest.approx(1 / 8, abs=0.01)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        pairs = {(triple[first], triple[second]) for triple in seen}
        assert pairs >= {(triple[first], triple[second]) for triple in unseen}
    for num_objects in (1, 2):
        seen_pictures = picture_combinations(num_objects, False)
        assert {part[1] for parts, _ in seen_pictures for part in parts} == set(TRAINED_OBJECTS)


def test_training_draws_every_combination_about_equally_often() -> None:
    drawn = [draw_motion_scene(seed) for seed in range(NUM_SEEDS)]
    counts = [
        np.unique([getattr(scene, field) for scene in drawn], return_counts=True)[1] / NUM_SEEDS
        for field in ("object", "background", "motion")
    ]

    for shares in counts:
        assert shares.max() / shares.min() < 1.25


def test_every_word_of_the_vocabulary_can_be_drawn() -> None:
    uniforms = torch.rand(
        len(BACKGROUNDS),
        num_background_uniforms(40, 40),
        generator=torch.Generator().manual_seed(0),
    )

    assert sprite_names() == OBJECTS
    assert load_sprites(32).shape == (len(OBJECTS), 4, 32, 32)
    assert set(LOOKS) == set(BACKGROUNDS)
    assert len(MOTIONS) == 8
    assert render_backgrounds(list(BACKGROUNDS), uniforms, 40, 40).isfinite().all()
