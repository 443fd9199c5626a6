"""The front of a search, as a picture: everything measured, and what nothing beats."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tenuto.errors import MissingExtraError


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting of a search.

    Attributes:
        speed: Multiply-accumulates of the untouched run over its own.
        psnr_db: Mean over the prompts of the search.
        kinds: Words for the techniques in it; settings of the same kinds look the same.
        is_chosen: A target was met with it.
    """

    speed: float
    psnr_db: float
    kinds: str
    is_chosen: bool


def write_front_picture(
    points: Sequence[Point], front: Sequence[tuple[float, float]], path: Path
) -> Path:
    """Draw fidelity against operations, the front as a line.

    Args:
        points: Everything measured.
        front: Speed and decibels of what nothing beats, slowest first.
        path: A PNG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            "the picture of the front needs matplotlib: pip install 'tenuto[report]'"
        ) from None
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.step(*zip(*front, strict=True), where="pre", color="#bbbbbb", lw=4, zorder=1)
    for kinds in sorted({point.kinds for point in points}):
        some = [point for point in points if point.kinds == kinds]
        axes.plot([p.speed for p in some], [p.psnr_db for p in some], "o", ms=5, label=kinds)
    chosen = [point for point in points if point.is_chosen]
    axes.plot([p.speed for p in chosen], [p.psnr_db for p in chosen], "o", ms=12, mfc="none",
              mec="#d62728", mew=1.5, label="chosen")  # fmt: skip
    axes.set(xlabel="operations of the untouched run over its own", ylabel="mean PSNR, dB")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
