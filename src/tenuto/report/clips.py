"""Saved clips as film strips: every frame of a clip side by side in one lossless image.

A strip, not an animated file, because a page can hold, step and synchronise strips exactly, and
a browser gives no such control over an animation. Strips are lossless, so every pixel of the page
(and of the difference it shows) is a pixel that was compared, unless the clip had to shrink.
"""

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np

from tenuto.errors import MissingExtraError, ResultError

MAX_PROMPTS = 6
MAX_FRAMES = 48
# Longer sides shrink to the first of these at which two prompts fit the budget, or to the last.
_LONGEST_SIDES = (256, 128, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One clip as a strip of frames from left to right.

    `difference_max` and `difference_mean` are over the saved clip, in 0..255 against the reference.
    """

    uri: str
    num_frames: int
    frame_width: int
    frame_height: int
    is_whole: bool
    difference_max: int
    difference_mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFilms:
    """The films of one prompt: the reference, and those techniques that saved this prompt."""

    index: int
    reference: Film
    by_slug: Mapping[str, Film]


def films_in_budget(folder: Path, slugs: list[str], budget_bytes: int) -> list[PromptFilms]:
    """Turn saved clips into films, as many prompts (at most six) as fit.

    Args:
        folder: Holds reference/<index>.npy and <slug>/<index>.npy, as `read_clip` takes them.
        slugs: Techniques to show; those without a folder are left out.
        budget_bytes: Bound on the sum of the data URIs. A single prompt is returned even above it.

    Returns:
        In order of the prompt index; empty when there is no reference clip or nothing beside it.

    Raises:
        ResultError: A clip is unreadable, holds objects, or is not of its reference's shape.
        MissingExtraError: Pillow is not installed.
    """
    indices = [
        index
        for index in _indices(folder / "reference")
        if any((folder / slug / f"{index}.npy").exists() for slug in slugs)
    ][:MAX_PROMPTS]
    films: list[PromptFilms] = []
    for longest_side in _LONGEST_SIDES:
        if films and _longest_side(films[0]) <= longest_side:
            continue
        films = _films_at_side(folder, slugs, indices, longest_side, budget_bytes)
        if len(films) >= min(2, len(indices)) and sum(map(_bytes, films)) <= budget_bytes:
            break
    return films


def read_clip(path: Path) -> np.ndarray:
    """Read one saved clip, uint8 (frames, height, width, 3); pickles are never loaded.

    Raises:
        ResultError: The file is cut short, not a .npy array, or of another shape or type.
    """
    try:
        clip = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, SyntaxError, TokenError) as error:
        raise ResultError(f"clip {path} cannot be read: {error}") from error
    if not isinstance(clip, np.ndarray):
        raise ResultError(f"clip {path} must be one .npy array, got an archive")
    if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[3] != 3 or clip.size == 0:
        raise ResultError(
            f"clip {path} must be uint8 (frames, height, width, 3), got {clip.dtype} {clip.shape}"
        )
    return clip


def film_from_clip(clip: np.ndarray, reference: np.ndarray, longest_side: int) -> Film:
    """Encode a clip as a lossless strip, its frames thinned and shrunk where they must be."""
    shown = clip[:: math.ceil(len(clip) / MAX_FRAMES)]
    shrink = max(1.0, max(clip.shape[1:3]) / longest_side)
    height, width = (max(1, round(side / shrink)) for side in clip.shape[1:3])
    difference = np.abs(clip.astype(np.int16) - reference)
    return Film(
        uri=_strip_uri(shown, width, height),
        num_frames=len(shown),
        frame_width=width,
        frame_height=height,
        is_whole=shown.shape == (*clip.shape[:1], height, width, 3),
        difference_max=int(difference.max()),
        difference_mean=float(difference.mean()),
    )


def _films_at_side(
    folder: Path, slugs: list[str], indices: list[int], longest_side: int, budget_bytes: int
) -> list[PromptFilms]:
    """Encode prompt after prompt until the budget is spent; the first is always there."""
    films: list[PromptFilms] = []
    for index in indices:
        prompt = _prompt_films(folder, slugs, index, longest_side)
        budget_bytes -= _bytes(prompt)
        if budget_bytes < 0 and films:
            break
        films.append(prompt)
    return films


def _prompt_films(folder: Path, slugs: list[str], index: int, longest_side: int) -> PromptFilms:
    reference = read_clip(folder / "reference" / f"{index}.npy")
    by_slug: dict[str, Film] = {}
    for slug in slugs:
        path = folder / slug / f"{index}.npy"
        if not path.exists():
            continue
        clip = read_clip(path)
        if clip.shape != reference.shape:
            raise ResultError(
                f"clip {path} must have the reference's shape {reference.shape}, got {clip.shape}"
            )
        by_slug[slug] = film_from_clip(clip, reference, longest_side)
    return PromptFilms(
        index=index,
        reference=film_from_clip(reference, reference, longest_side),
        by_slug=by_slug,
    )


def _indices(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.npy") if path.stem.isdecimal())


def _strip_uri(frames: np.ndarray, width: int, height: int) -> str:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("the report needs pillow: pip install 'tenuto[report]'") from error
    strip = Image.new("RGB", (width * len(frames), height))
    for position, frame in enumerate(frames):
        image = Image.fromarray(frame)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BOX)
        strip.paste(image, (position * width, 0))
    encoded = io.BytesIO()
    strip.save(encoded, "WEBP", lossless=True, quality=60, method=4)
    return "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _bytes(prompt: PromptFilms) -> int:
    return sum(len(film.uri) for film in (prompt.reference, *prompt.by_slug.values()))


def _longest_side(prompt: PromptFilms) -> int:
    return max(prompt.reference.frame_width, prompt.reference.frame_height)
