"""Captions for evaluation: always the same, all different, spread over the vocabulary."""

from collections import Counter

import pytest

from tenuto.zoo import prompts
from tenuto.zoo.held_out import is_held_out
from tenuto.zoo.words import MOTIONS, TRAINED_BACKGROUNDS, TRAINED_OBJECTS, WORDS

MODELS = ("emoji-image", "emoji-video")
SPLITS = ("held-out", "seen")

each_list = pytest.mark.parametrize(
    ("name", "split"), [(name, split) for name in MODELS for split in SPLITS]
)


def shown_in(caption: str) -> tuple[str, str, str]:
    """Read object, background and motion back from a video caption."""
    (thing,) = set(caption.split()) & set(TRAINED_OBJECTS)
    (background,) = set(caption.split()) & set(TRAINED_BACKGROUNDS)
    (motion,) = (motion for motion in MOTIONS if motion in caption)
    return thing, background, motion


@each_list
def test_captions_are_different_and_in_the_vocabulary(name: str, split: str) -> None:
    captions = prompts(name, split)

    assert len(captions) == len(set(captions)) == 32
    assert {word for caption in captions for word in caption.split()} <= set(WORDS)


@each_list
def test_a_longer_list_starts_with_the_shorter_one(name: str, split: str) -> None:
    assert prompts(name, split, n=9)[:4] == prompts(name, split, n=4)


def test_the_first_captions_stay_what_they_are() -> None:
    assert prompts("emoji-video", n=3) == [
        "a apple moves left over the meadow",
        "a cactus shrinks over the sunset",
        "a balloon moves up over the desert",
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_few_video_captions_cover_every_word_evenly(split: str) -> None:
    shown = [shown_in(caption) for caption in prompts("emoji-video", split, n=32)]

    objects, backgrounds, motions = (Counter(column) for column in zip(*shown, strict=True))

    assert set(objects.values()) == {2} and len(objects) == 16
    assert set(backgrounds.values()) == {5, 6} and len(backgrounds) == 6
    assert set(motions.values()) <= {3, 4, 5} and len(motions) == 8


@pytest.mark.parametrize("split", SPLITS)
def test_half_of_the_image_captions_show_two_objects(split: str) -> None:
    captions = prompts("emoji-image", split, n=32)

    assert 14 <= sum(" and " in caption for caption in captions) <= 18


def test_the_splits_share_no_caption_and_make_up_all_combinations() -> None:
    seen, held_out = (
        prompts("emoji-video", split, n) for split, n in (("seen", 672), ("held-out", 96))
    )

    assert not set(seen) & set(held_out)
    assert len({*seen, *held_out}) == 16 * 6 * 8
    assert all(is_held_out(*shown_in(caption)) for caption in held_out)


def test_each_two_words_are_seen_together_although_some_triples_are_held_out() -> None:
    seen = [shown_in(caption) for caption in prompts("emoji-video", "seen", n=672)]

    assert len({(thing, background) for thing, background, _ in seen}) == 16 * 6
    assert len({(thing, motion) for thing, _, motion in seen}) == 16 * 8
    assert len({(background, motion) for _, background, motion in seen}) == 6 * 8


@pytest.mark.parametrize("n", [0, -1, 97])
def test_more_captions_than_there_are_is_an_error(n: int) -> None:
    with pytest.raises(ValueError, match=rf"`n` must be from 1 to 96 for 'held-out' .*got {n}"):
        prompts("emoji-video", "held-out", n)


def test_an_unknown_split_is_an_error_that_lists_the_splits() -> None:
    with pytest.raises(ValueError, match=r"`split` must be one of \['seen', 'held-out'\], got 'x'"):
        prompts("emoji-video", "x")


def test_an_unknown_model_is_an_error_that_lists_the_models() -> None:
    with pytest.raises(ValueError, match=r"`name` must be .*'emoji-image', 'emoji-video'.*'x'"):
        prompts("x")
