"""Captions the embedded models understand, dealt out so that few of them cover much."""

from collections import Counter
from hashlib import sha256
from heapq import heapify, heappop, heappush
from itertools import permutations, product

from tenuto.zoo.held_out import is_held_out, is_held_out_scene
from tenuto.zoo.words import MOTIONS, SIZES, TRAINED_BACKGROUNDS, TRAINED_OBJECTS

Content = tuple[tuple[str, object], ...]  # (kind, value) pairs, such as ("object", "heart")

_SPLITS = ("seen", "held-out")


def prompts(name: str, split: str = "seen", n: int = 32) -> list[str]:
    """List `n` different captions, the same ones every time, every word about equally often.

    The weights now in the package are older than the split and were trained on *all* combinations
    of 16 objects, 6 backgrounds and 8 motions: for them "held-out" captions are new only through
    the seed of the noise. Weights trained later have not seen the held-out combinations.

    Args:
        name: "emoji-video" or "emoji-image".
        split: "seen" combinations are trained on, "held-out" ones (one in eight) are left out.
        n: How many. A longer list starts with the shorter one.

    Raises:
        ValueError: The name or split does not exist, or `n` is below 1 or above what there is.

    >>> prompts("emoji-video", n=2)[0]
    'a apple moves left over the meadow'
    """
    if split not in _SPLITS:
        raise ValueError(f"`split` must be one of {list(_SPLITS)}, got {split!r}")
    if name == "emoji-video":
        scenes = _video_scenes(split == "held-out")
    elif name == "emoji-image":
        scenes = _image_scenes(split == "held-out")
    else:
        raise ValueError(f"`name` must be one of ['emoji-image', 'emoji-video'], got {name!r}")
    if not 1 <= n <= len(scenes):
        raise ValueError(
            f"`n` must be from 1 to {len(scenes)} for {split!r} captions of {name!r}, got {n!r}"
        )
    return _deal(scenes, n)


def _video_scenes(held_out: bool) -> dict[str, Content]:
    """Map each caption to what it shows."""
    triples = product(TRAINED_OBJECTS, TRAINED_BACKGROUNDS, MOTIONS)
    return {
        f"a {thing} {motion} over the {background}": (
            ("object", thing),
            ("background", background),
            ("motion", motion),
        )
        for thing, background, motion in triples
        if is_held_out(thing, background, motion) == held_out
    }


def _image_scenes(held_out: bool) -> dict[str, Content]:
    """Map each caption to what it shows; two of the same object are left out."""
    things = list(product(SIZES, TRAINED_OBJECTS))
    singles = [(thing,) for thing in things]
    pairs = [pair for pair in permutations(things, 2) if pair[0][1] != pair[1][1]]
    scenes = {}
    for parts, background in product([*singles, *pairs], TRAINED_BACKGROUNDS):
        if is_held_out_scene(parts, background) == held_out:
            shown = " and ".join(f"a {size} {thing}" for size, thing in parts)
            content: list[tuple[str, object]] = [("background", background), ("count", len(parts))]
            for size, thing in parts:
                content += [("size", size), ("object", thing)]
            scenes[f"{shown} over the {background}"] = tuple(content)
    return scenes


def _deal(scenes: dict[str, Content], n: int) -> list[str]:
    """Take, `n` times, the caption whose words were taken least, counted against equal shares."""
    kinds = {pair for content in scenes.values() for pair in content}
    values_of_kind = Counter(kind for kind, _ in kinds)
    taken: Counter[tuple[str, object]] = Counter()

    def load(caption: str) -> float:
        content = scenes[caption]
        return sum(taken[pair] * values_of_kind[pair[0]] for pair in content) / len(content)

    # A hash breaks ties in an order that favours no word. Loads only grow, so a caption whose load
    # is still what the heap says is the least loaded of all.
    heap = [(0.0, sha256(caption.encode()).hexdigest(), caption) for caption in scenes]
    heapify(heap)
    chosen: list[str] = []
    while len(chosen) < n:
        known, tie, caption = heappop(heap)
        if load(caption) > known:
            heappush(heap, (load(caption), tie, caption))
            continue
        chosen.append(caption)
        taken.update(scenes[caption])
    return chosen
