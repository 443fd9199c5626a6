"""Measured speed-up of FFN-Reuse against the one that the operations predict.

One run is three steps, one dense and two sparse iterations, on a bare transformer of width 1152
with one block; runs with and without tenuto alternate. "FFN" is the time inside the feed-forwards,
the part that the technique touches. With one thread the clock is the process's CPU time, which
other processes on the machine do not stretch; else the wall's. Random weights: speed only, never
fidelity.

    python benchmarks/ffn_reuse_speed.py [--threads 1] [--runs 5] [--tokens 1024] [--only column]
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import nn

import tenuto
from tenuto.evaluation.machine import this_machine, versions
from tenuto.integration.macs import MacCounter

TIMESTEPS = (900.0, 800.0, 700.0)
CADENCE: dict[str, Any] = {"interval": 3, "warmup": 1, "select": "magnitude"}
SETTINGS = {
    "column 0.5": tenuto.FFNReuse(sparsity=0.5, granularity="column", **CADENCE),
    "column 0.8": tenuto.FFNReuse(sparsity=0.8, granularity="column", **CADENCE),
    "column 0.8, change": tenuto.FFNReuse(
        sparsity=0.8, granularity="column", interval=3, warmup=1, select="change"
    ),
    "tile of 64, 0.8": tenuto.FFNReuse(sparsity=0.8, granularity="tile", **CADENCE),
    "tile of 256, 0.8": tenuto.FFNReuse(sparsity=0.8, granularity="tile", tile_rows=256, **CADENCE),
    "element 0.8, emulated": tenuto.FFNReuse(sparsity=0.8, granularity="element", **CADENCE),
}


class Stopwatch:
    """Seconds in all, and inside some modules, of single runs."""

    def __init__(self, modules: list[nn.Module], clock: Callable[[], float]) -> None:
        """Hook the modules."""
        self._clock = clock
        self._inside_s = self._since_s = 0.0
        for module in modules:
            module.register_forward_pre_hook(self._start)
            module.register_forward_hook(self._stop)

    def _start(self, *unused: object) -> None:
        self._since_s = self._clock()

    def _stop(self, *unused: object) -> None:
        self._inside_s += self._clock() - self._since_s

    def time(self, run: Callable[[], None]) -> tuple[float, float]:
        """Return the seconds of a run, and those inside the modules."""
        self._inside_s, start = 0.0, self._clock()
        run()
        return self._clock() - start, self._inside_s


def wide_image(num_tokens: int) -> tuple[Any, Callable[[], None]]:
    """Return a DiT-XL/2 of one block, and a run of it."""
    from diffusers import DiTTransformer2DModel

    side = int(num_tokens**0.5)
    model = DiTTransformer2DModel(
        num_attention_heads=16, attention_head_dim=72, in_channels=4, out_channels=8, num_layers=1,
        sample_size=2 * side, patch_size=2, norm_type="ada_norm_zero", num_embeds_ada_norm=1000,
        activation_fn="gelu-approximate", attention_bias=True,
    ).eval()  # fmt: skip
    image, label = torch.randn(1, 4, 2 * side, 2 * side), torch.tensor([1])

    def run() -> None:
        for timestep in TIMESTEPS:
            model(image, torch.tensor([int(timestep)]), label, return_dict=False)

    return model, run


def measure(name: str, model: Any, run: Callable[[], None], watch: Stopwatch, num_runs: int) -> str:
    """Return the line of one setting."""
    dense, ours = [], []
    with tenuto.accelerate(model, SETTINGS[name]) as handle:
        for _ in range(num_runs + 1):  # in turn, so that a slow minute hits both
            with handle.pause():
                dense.append(watch.time(run))
            ours.append(watch.time(run))
        stats = handle.stats()
    base_s, ffn_base_s = (median(part) for part in zip(*dense[1:], strict=True))
    ours_s, ffn_ours_s = (median(part) for part in zip(*ours[1:], strict=True))
    ffn_dense = ffn_macs(model, run) * stats.macs_dense
    ffn_ratio = ffn_dense / (ffn_dense - (stats.macs_dense - stats.macs_done))
    return (
        f"| {name} | {stats.macs_ratio:.2f}x | {base_s / ours_s:.2f}x | "
        f"{base_s / ours_s / stats.macs_ratio:.2f} | {ffn_ratio:.2f}x | "
        f"{ffn_base_s / ffn_ours_s:.2f}x | {ffn_base_s / ffn_ours_s / ffn_ratio:.2f} | "
        f"{base_s:.2f} s | {ours_s:.2f} s | {stats.state_bytes_peak / 2**20:.1f} MiB |"
    )


def ffn_macs(model: Any, run: Callable[[], None]) -> float:
    """Return the feed-forwards' share of the multiply-accumulates."""
    counter = MacCounter(model)
    counter.start()
    run()
    table = counter.stop()
    return sum(table.within(block.ff) for block in model.transformer_blocks) / table.total


def main() -> None:
    """Measure every setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--only", default="", help="settings whose name begins so")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    print(this_machine(), versions(), sep="\n")
    model, run = wide_image(chosen.tokens)
    clock = time.process_time if chosen.threads == 1 else time.perf_counter
    watch = Stopwatch([block.ff for block in model.transformer_blocks], clock)
    print(
        "| setting | MACs | measured | of it | FFN MACs | FFN measured | of it | dense | ours | "
        "state |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    with torch.no_grad():
        for name in SETTINGS:
            if name.startswith(chosen.only):
                print(measure(name, model, run, watch, chosen.runs), flush=True)


if __name__ == "__main__":
    main()
