from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from recipes.zoo.render import Grid, render_clips, render_pictures
from recipes.zoo.scenes import MotionScene, PictureScene, draw_motion_scene, draw_picture_scene

import tenuto.zoo
from tenuto.errors import CaptionError
from tenuto.zoo.verdict import WEIGHTS, accuracy, judge

CLIP = Grid(16, 64, 64)
UNSEEN = range(2_000_000, 2_000_060)  # seeds of neither the models nor the judge nor its own test


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are slower on more threads, by far so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def frames_of(scene: MotionScene, grid: Grid = CLIP) -> torch.Tensor:
    return (render_clips([scene], grid)[0].permute(1, 2, 3, 0) + 1) / 2


def picture_of(scene: PictureScene) -> torch.Tensor:
    return (render_pictures([scene])[0].permute(1, 2, 0) + 1) / 2


def test_a_real_clip_is_read_back_word_by_word() -> None:
    scene = MotionScene(seed=11, object="panda", background="night", motion="moves left")

    verdict = judge(frames_of(scene), scene.caption)

    assert verdict
    assert (verdict.object, verdict.background, verdict.motion) == ("panda", "night", "moves left")


@pytest.mark.parametrize(
    ("caption", "wrong"),
    [
        ("a heart moves left over the night", "object_matches"),
        ("a panda moves left over the sea", "background_matches"),
        ("a panda spins over the night", "motion_matches"),
    ],
)
def test_a_caption_that_says_something_else_is_found_out(caption: str, wrong: str) -> None:
    scene = MotionScene(seed=11, object="panda", background="night", motion="moves left")

    verdict = judge(frames_of(scene), caption)

    matches = {name for name in type(verdict).__slots__ if name.endswith("_matches")}
    assert not verdict
    assert {name for name in matches if not getattr(verdict, name)} == {wrong}


def test_a_clip_played_backwards_moves_the_other_way() -> None:
    scene = MotionScene(seed=12, object="frog", background="sky", motion="moves up")

    verdict = judge(frames_of(scene).flip(0), scene.caption)

    assert verdict.motion == "moves down"


def test_both_objects_of_a_picture_are_read_in_either_order() -> None:
    scene = PictureScene(seed=5, parts=(("big", "pig"), ("big", "frog")), background="sunset")
    picture = picture_of(scene)

    verdict = judge(picture, "a big frog and a big pig over the sunset")

    assert verdict.object == "pig and frog"
    assert verdict.motion is None
    assert verdict
    assert not judge(picture, "a big pig over the sunset")
    assert not judge(picture, "a big pig and a small pig over the sunset")


def test_most_unseen_renderings_are_read_right() -> None:
    clips = [draw_motion_scene(seed) for seed in UNSEEN]
    pictures = [draw_picture_scene(seed) for seed in UNSEEN]

    right_clips = sum(bool(judge(frames_of(scene), scene.caption)) for scene in clips)
    right_pictures = sum(bool(judge(picture_of(scene), scene.caption)) for scene in pictures)

    # five standard deviations below the stated ceiling
    for right, stated in (
        (right_clips, accuracy()["clip"]),
        (right_pictures, accuracy()["picture"]),
    ):
        spread = (len(UNSEEN) * stated["all"] * (1 - stated["all"])) ** 0.5
        assert right >= len(UNSEEN) * stated["all"] - 5 * spread


def test_the_judge_s_own_accuracy_is_stated_and_high() -> None:
    for kind in ("clip", "picture"):
        assert accuracy()[kind]["samples"] >= 1000
        assert accuracy()[kind]["all"] > 0.95


def test_bytes_floats_arrays_and_images_are_judged_alike() -> None:
    scene = draw_motion_scene(3)
    as_bytes = (frames_of(scene) * 255).round().to(torch.uint8)
    images = [Image.fromarray(frame) for frame in as_bytes.numpy()]

    verdicts = {
        judge(shown, scene.caption)
        for shown in (as_bytes, as_bytes.numpy(), as_bytes.float() / 255, images)
    }

    assert len(verdicts) == 1


def test_a_picture_may_come_as_an_image_or_as_a_batch_of_one() -> None:
    scene = draw_picture_scene(4)
    picture = (picture_of(scene).numpy() * 255).round().astype(np.uint8)

    verdicts = {
        judge(shown, scene.caption)
        for shown in (picture, picture[None], Image.fromarray(picture), [Image.fromarray(picture)])
    }

    assert len(verdicts) == 1


def test_a_clip_of_another_size_is_judged_too() -> None:
    scene = MotionScene(seed=11, object="panda", background="night", motion="grows")

    verdict = judge(frames_of(scene, Grid(16, 96, 96)), scene.caption)

    assert verdict.background == "night"


def test_noise_is_not_what_the_caption_says() -> None:
    noise = torch.rand(16, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    captions = [f"a {thing} spins over the night" for thing in ("heart", "frog", "star", "car")]

    assert sum(bool(judge(noise, caption)) for caption in captions) <= 1


@pytest.mark.parametrize(
    "caption",
    ["a frog", "over the sky", "a cat spins over the sky", "a frog and a pig spins over the sky"],
)
def test_a_caption_the_judge_cannot_check_is_refused_with_the_words_it_knows(caption: str) -> None:
    with pytest.raises(CaptionError, match=r"`caption` must name .*heart.*sunset.*, got"):
        judge(torch.zeros(16, 64, 64, 3), caption)


def test_frames_of_another_shape_or_not_finite_are_refused() -> None:
    caption = "a frog spins over the sky"

    with pytest.raises(
        ValueError, match=r"`shown` must be \(frames, height, width, 3\).*got \(64,"
    ):
        judge(torch.zeros(64, 64, 3), caption)
    with pytest.raises(ValueError, match=r"`shown` must be \(height, width, 3\).*got \(16,"):
        judge(torch.zeros(16, 64, 64, 3), "a big frog over the sky")
    with pytest.raises(ValueError, match="`shown` must be finite"):
        judge(torch.full((16, 64, 64, 3), torch.nan), caption)


def test_the_judge_is_small_and_reached_by_its_public_name() -> None:
    assert WEIGHTS.stat().st_size <= 1_000_000
    assert tenuto.zoo.judge is judge
