"""Draw a run's loss over the tokens seen, one line per grid.

python -m recipes.zoo.plot runs/video
"""

import argparse
from pathlib import Path

import numpy as np

from recipes.zoo.checkpoint import read_log

SMOOTH_ROWS = 9


def plot_log(folder: Path) -> Path:
    """Write `loss.png` beside the log of `folder`."""
    import matplotlib  # heavy, and only here

    matplotlib.use("agg")
    from matplotlib import pyplot

    rows = read_log(folder)
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for grid in sorted({grid for row in rows for grid in row["loss_by_grid"]}):
        seen = [row for row in rows if grid in row["loss_by_grid"]]
        loss = np.array([row["loss_by_grid"][grid] for row in seen])
        width = min(SMOOTH_ROWS, len(loss))
        smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
        tokens = np.array([row["tokens"] for row in seen])[width - 1 :]
        axes.plot(tokens / 1e6, smooth, label=grid)
    axes.set(xlabel="tokens seen (millions)", ylabel="loss", yscale="log", title=folder.name)
    axes.grid(alpha=0.3)
    axes.legend(title="frames x height x width")
    figure.savefig(folder / "loss.png", dpi=110)
    pyplot.close(figure)
    return folder / "loss.png"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    print(plot_log(parser.parse_args().folder))
