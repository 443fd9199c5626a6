"""What a neutral `accelerate` costs a step of the embedded video model.

Calls with and without the hooks alternate; the figure is the median of the paired differences.

    python benchmarks/neutral_overhead.py [--threads 1] [--calls 200]
"""

import argparse
from statistics import median
from time import perf_counter

import torch

import tenuto
from tenuto.evaluation.machine import this_machine, versions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--calls", type=int, default=200)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    model = tenuto.zoo.load("emoji-video").transformer
    clip, text = torch.randn(1, 3, 16, 64, 64), torch.randn(1, 8, 128)

    def seconds(timestep: float) -> float:
        start = perf_counter()
        model(clip, torch.tensor([timestep]), text, return_dict=False)
        return perf_counter() - start

    print(this_machine(), versions(), sep="\n")
    with torch.no_grad():
        pairs = []
        for index in range(chosen.calls + 10):
            # Hooked and bare in turn, each first in every other pair.
            timestep = float(2000 - index)
            handle = tenuto.accelerate(model, tenuto.DiTo.neutral())
            hooked_first = index % 2 == 0
            if hooked_first:
                model(clip, torch.tensor([timestep]), text)  # counts operations once
                hooked = seconds(timestep)
                handle.remove()
                bare = seconds(timestep)
            else:
                model(clip, torch.tensor([timestep]), text)
                handle.remove()
                bare = seconds(timestep)
                handle = tenuto.accelerate(model, tenuto.DiTo.neutral())
                model(clip, torch.tensor([timestep]), text)
                hooked = seconds(timestep)
                handle.remove()
            if index >= 10:
                pairs.append((bare, hooked))
    difference = median(hooked - bare for bare, hooked in pairs)
    bare = median(bare for bare, _ in pairs)
    print(f"a step {bare * 1e3:.2f} ms, neutral hooks {difference * 1e3:+.3f} ms: ", end="")
    print(f"{difference / bare:+.2%} over {len(pairs)} pairs")


if __name__ == "__main__":
    main()
