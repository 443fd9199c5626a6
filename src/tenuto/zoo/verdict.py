"""What a generated clip or picture shows, read back by a classifier and held against its caption.

The classifiers know real renderings only (recipes/zoo/train_judge.py); how often they are right
about unseen ones, the ceiling of every figure they give, is `accuracy()`.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from tenuto.errors import CaptionError, WeightsError
from tenuto.zoo.judge_networks import NO_OBJECT, ClipClassifier, PictureClassifier
from tenuto.zoo.weights_file import read_weights
from tenuto.zoo.words import MOTIONS, TRAINED_BACKGROUNDS, TRAINED_OBJECTS

WEIGHTS = Path(__file__).parent / "weights" / "judge" / "judge.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was read back, true if it is what the caption says.

    Attributes:
        caption: What was asked for.
        object: What is shown; two objects of a picture are named ``"left and right"``.
        background: Behind it.
        motion: None for a picture.
        object_matches: The object, or both objects in either order, are the caption's.
        background_matches: The background is the caption's.
        motion_matches: The motion is the caption's; true for a picture.
    """

    caption: str
    object: str
    background: str
    motion: str | None
    object_matches: bool
    background_matches: bool
    motion_matches: bool

    def __bool__(self) -> bool:
        return self.object_matches and self.background_matches and self.motion_matches


def judge(shown: object, caption: str) -> Verdict:
    """Read a clip or a picture back and compare it with its caption.

    A caption with a motion asks for a clip, any other for a picture. Sizes ("big", "small") and
    sides are not judged.

    Args:
        shown: ``(frames, height, width, 3)`` or, for a picture, ``(height, width, 3)``: an array
            or tensor, uint8 or floats in [0, 1]; or a PIL image, or a list of such frames.
        caption: As given to the pipeline.

    Raises:
        CaptionError: The caption does not name an object and a background the judge knows.
        ValueError: `shown` has another shape, or is not finite.
    """
    objects, background, motion = _parts_of(caption)
    pixels = _pixels(shown, is_clip=motion is not None)
    with torch.no_grad():
        if motion is not None:
            guesses = [head.argmax(1).item() for head in _classifiers()[0](pixels)]
            read, moved = [TRAINED_OBJECTS[guesses[0]]], MOTIONS[guesses[2]]
            behind = TRAINED_BACKGROUNDS[guesses[1]]
        else:
            *slots, ground = (head.argmax(1).item() for head in _classifiers()[1](pixels))
            read = [TRAINED_OBJECTS[slot] for slot in slots if slot != NO_OBJECT]
            moved, behind = None, TRAINED_BACKGROUNDS[ground]
    return Verdict(
        caption=caption,
        object=" and ".join(read),
        background=behind,
        motion=moved,
        object_matches=Counter(read) == Counter(objects),
        background_matches=behind == background,
        motion_matches=moved == motion,
    )


def accuracy() -> dict[str, dict[str, float]]:
    """Give the share of unseen real renderings the judge reads right, by kind and by head."""
    facts = _facts()
    return {"clip": facts["clip"], "picture": facts["picture"]}


def _parts_of(caption: str) -> tuple[list[str], str, str | None]:
    words = caption.lower().split()
    objects = [word for word in words if word in TRAINED_OBJECTS]
    backgrounds = [word for word in words if word in TRAINED_BACKGROUNDS]
    motion = next((motion for motion in MOTIONS if motion in " ".join(words)), None)
    most = 2 if motion is None else 1
    if not 1 <= len(objects) <= most or len(backgrounds) != 1:
        raise CaptionError(
            f"`caption` must name {'one object' if most == 1 else 'one or two objects'} of "
            f"{', '.join(TRAINED_OBJECTS)} and one background of "
            f"{', '.join(TRAINED_BACKGROUNDS)}, got {caption!r}"
        )
    return objects, backgrounds[0], motion


def _pixels(shown: object, is_clip: bool) -> Tensor:
    """Bring what is shown to ``(1, 3, [frames,] height, width)`` floats in [-1, 1]."""
    if isinstance(shown, Sequence):
        shown = np.stack([np.asarray(frame) for frame in shown])
    pixels = shown if isinstance(shown, Tensor) else torch.from_numpy(np.array(shown))
    if not is_clip and pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    axes = "(frames, height, width, 3)" if is_clip else "(height, width, 3)"
    if pixels.ndim != 3 + is_clip or pixels.shape[-1] != 3:
        raise ValueError(f"`shown` must be {axes} for this caption, got {tuple(pixels.shape)}")
    is_bytes = pixels.dtype == torch.uint8
    pixels = pixels.detach().to("cpu", torch.float32) / (255 if is_bytes else 1)
    if not pixels.isfinite().all():
        raise ValueError("`shown` must be finite, got NaN or infinity")
    return (pixels.clamp(0, 1) * 2 - 1).movedim(-1, 0)[None]


@cache
def _facts() -> dict:
    if not WEIGHTS.is_file():
        raise WeightsError(f"weights file {WEIGHTS} is missing: install the package again")
    with safe_open(WEIGHTS, "pt") as file:
        return json.loads(file.metadata()["judge"])


@cache
def _classifiers() -> tuple[ClipClassifier, PictureClassifier]:
    weights = read_weights(WEIGHTS)
    classifiers = ClipClassifier(), PictureClassifier()
    for kind, classifier in zip(("clip", "picture"), classifiers, strict=True):
        own = classifier.state_dict()
        for name, tensor in own.items():
            if name.endswith("num_batches_tracked"):  # counts training steps; unused and not kept
                continue
            if f"{kind}.{name}" not in weights or weights[f"{kind}.{name}"].shape != tensor.shape:
                raise WeightsError(f"weights file {WEIGHTS} must hold '{kind}.{name}' in full")
            tensor.copy_(weights[f"{kind}.{name}"])
        classifier.eval()
    return classifiers
