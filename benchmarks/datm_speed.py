"""Time of DATM against the number of tokens, and against the block that it serves.

Smooth random tokens on a video grid; the same plan whatever the speed, so the tokens matter only
for how many rounds the windows need. `--block` also times one transformer block of that size.

    python benchmarks/datm_speed.py [--threads 2] [--runs 5] [--block]
"""

import argparse
from time import perf_counter, process_time

import torch
from torch import Tensor

from tenuto.algorithms.datm import Datm, match_datm
from tenuto.evaluation.machine import this_machine, versions

CHANNELS = 1920  # CogVideoX-2B
GRIDS = ((4, 30, 45), (7, 30, 45), (13, 30, 45), (26, 30, 45))
SETTINGS = {
    "INT8, 256 in a row": Datm(bits=8, window=256),
    "INT8, (4, 8, 8)": Datm(bits=8, window=(4, 8, 8)),
    "INT4, 256 in a row": Datm(bits=4, window=256),
    "float, 256 in a row": Datm(bits=None, window=256),
}


def smooth_tokens(grid: tuple[int, int, int]) -> Tensor:
    """Slowly varying tokens with noise of half their size, (1, tokens, channels)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, CHANNELS, 4, 8, 12, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=grid, mode="trilinear")
    tokens = fine[0].flatten(1).T[None]
    return tokens + 0.5 * torch.randn(tokens.shape, generator=generator)


def seconds(
    tokens: Tensor, grid: tuple[int, ...], datm: Datm, num_runs: int
) -> list[tuple[float, float]]:
    """Measure a few calls after one that warms up: wall and processor time, sorted."""
    times = []
    for _ in range(num_runs + 1):
        start, start_cpu = perf_counter(), process_time()
        match_datm(tokens, grid, 0.5, datm)
        times.append((perf_counter() - start, process_time() - start_cpu))
    return sorted(times[1:])


def block_seconds(num_tokens: int) -> float:
    """Time one dense block: attention over all tokens and a feed-forward four times as wide."""
    import torch.nn.functional as F

    heads, tokens = CHANNELS // 64, torch.randn(1, num_tokens, CHANNELS)
    square = torch.randn(CHANNELS, CHANNELS) / CHANNELS**0.5
    up, down = torch.randn(4 * CHANNELS, CHANNELS) / 44, torch.randn(CHANNELS, 4 * CHANNELS) / 88
    start = perf_counter()
    rows = [
        F.linear(tokens, square).view(1, num_tokens, heads, 64).transpose(1, 2) for _ in range(3)
    ]
    attended = F.scaled_dot_product_attention(*rows).transpose(1, 2).reshape(tokens.shape)
    F.linear(F.gelu(F.linear(F.linear(attended, square), up)), down)
    return perf_counter() - start


def main() -> None:
    """Print a line for each setting and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--block", action="store_true", help="time a block too (a minute)")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(this_machine(), versions(), sep="\n")
    print("| setting | tokens | median | fastest | its processor time | microseconds a token |")
    print("|---|---|---|---|---|---|")
    with torch.no_grad():
        for grid in GRIDS:
            tokens = smooth_tokens(grid)
            for name, datm in SETTINGS.items():
                times = seconds(tokens, grid, datm, chosen.runs)
                (median, _), (best, best_cpu) = times[len(times) // 2], times[0]
                num_tokens = tokens.shape[1]
                print(
                    f"| {name} | {num_tokens:,} | {median:.3f} s | {best:.3f} s | {best_cpu:.3f} s "
                    f"| {1e6 * best / num_tokens:.1f} |",
                    flush=True,
                )
        if chosen.block:
            print(f"one dense block of 17,550 tokens: {block_seconds(17_550):.1f} s")


if __name__ == "__main__":
    main()
