"""What an embedded model's sample shows, read back: does acceleration change it?"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from tenuto.zoo.verdict import judge

JUDGED = ("emoji-image", "emoji-video")
"""Models whose samples the judge can read."""

Reading = list[Any]
"""Object, background, motion (None for a picture), and whether all are the caption's."""


def reading_of(model: str, sample: Tensor, caption: str) -> Reading | None:
    """Return what is read back from a sample, None for a model that the judge cannot read.

    Args:
        model: Name of the model.
        sample: (frames, 3, height, width) in [0, 1].
        caption: What was asked for.
    """
    if model not in JUDGED:
        return None
    shown = sample.permute(0, 2, 3, 1)
    verdict = judge(shown, caption)
    return [verdict.object, verdict.background, verdict.motion, bool(verdict)]


def readings_row(
    readings: Sequence[Reading | None], references: Sequence[Reading | None]
) -> dict[str, float | None]:
    """Return the shares of samples that show what was asked for, and what the reference shows."""
    pairs = [(r, o) for r, o in zip(readings, references, strict=True) if r and o]
    if not pairs:
        return {"caption_accuracy": None, "shows_the_same": None}
    return {
        "caption_accuracy": sum(bool(r[3]) for r, _ in pairs) / len(pairs),
        "shows_the_same": sum(r[:3] == o[:3] for r, o in pairs) / len(pairs),
    }
