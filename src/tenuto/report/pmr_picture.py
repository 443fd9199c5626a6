"""The Pair Match Ratio between all steps, as a picture."""

from collections.abc import Sequence
from pathlib import Path

from tenuto.errors import MissingExtraError


def write_pmr_picture(
    table: Sequence[Sequence[float]], ratios: Sequence[float], path: Path
) -> Path:
    """Draw the table as a heat map, and beside it the mean ratio against the gap.

    Args:
        table: Pair Match Ratio, 0..1, (steps, steps).
        ratios: For each step, 0 where it is a Matching step; marked along the diagonal.
        path: A PNG file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            "the picture of the PMR table needs matplotlib: pip install 'tenuto[report]'"
        ) from None
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    image = left.imshow(table, vmin=0, vmax=1, cmap="viridis", origin="upper")
    matching = [step for step, ratio in enumerate(ratios) if ratio == 0]
    left.plot(matching, matching, "o", color="#d62728", ms=3, label="Matching step")
    left.set(xlabel="step", ylabel="step", title="Pair Match Ratio")
    left.legend(loc="lower left", fontsize=8)
    figure.colorbar(image, ax=left, shrink=0.85)
    num_steps = len(table)
    thirds = [(0, num_steps // 3), (num_steps // 3, 2 * num_steps // 3), (2 * num_steps // 3,) * 2]
    for label, (first, end) in zip(("first", "middle", "last"), thirds, strict=True):
        end = num_steps if first == end else end  # noqa: PLW2901
        means = []
        for gap in range(1, num_steps // 3):
            pairs = [table[k][k + gap] for k in range(first, end) if k + gap < num_steps]
            means.append(sum(pairs) / len(pairs) if pairs else float("nan"))
        right.plot(range(1, num_steps // 3), means, marker=".", label=f"{label} third of the run")
    right.set(xlabel="gap, steps", ylabel="PMR", ylim=(0, 1), title="how long pairs last")
    right.legend(fontsize=8)
    right.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
