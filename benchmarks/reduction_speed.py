"""Measured speed-up against the one that the operations predict, and the share of matching.

One run is a cadence of six steps, one dense and one reduced in turn, on a bare transformer; runs
with and without tenuto alternate. Random weights: speed only, never fidelity.

    python benchmarks/reduction_speed.py [--threads 2] [--runs 7] [--large]
"""

import argparse
from collections.abc import Callable, Iterable
from typing import Any

import torch

import tenuto
from tenuto.evaluation.machine import this_machine, versions
from tenuto.evaluation.timing import time_interleaved

TIMESTEPS = (900.0, 800.0, 700.0, 600.0, 500.0, 400.0)
SETTINGS = {
    "predict 1.0": tenuto.DiTo(ratio=1.0, interval=2, warmup=1),
    "predict 1.0, modules": tenuto.DiTo(ratio=1.0, interval=2, warmup=1, predict_at="modules"),
    "correct 0.5, keys all": tenuto.DiTo(ratio=0.5, interval=2, warmup=1),
    "correct 0.75, keys all": tenuto.DiTo(ratio=0.75, interval=2, warmup=1),
    "correct 0.5, keys held": tenuto.DiTo(ratio=0.5, interval=2, warmup=1, keys="held"),
    "copy 0.5, keys kept": tenuto.DiTo(
        ratio=0.5, interval=2, warmup=1, keys="kept", predict="none", guide="module"
    ),
}
Call = Callable[[float], object]


def small_video() -> tuple[torch.nn.Module, Call]:
    """512 tokens x width 192: the embedded video model's transformer."""
    from diffusers import WanTransformer3DModel

    model = WanTransformer3DModel(
        patch_size=(2, 8, 8), num_attention_heads=4, attention_head_dim=48, in_channels=3,
        out_channels=3, text_dim=128, freq_dim=128, ffn_dim=768, num_layers=8,
        cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=64,
    )  # fmt: skip
    clip, text = torch.randn(1, 3, 16, 64, 64), torch.randn(1, 8, 128)
    return model, lambda t: model(clip, torch.tensor([t]), text, return_dict=False)


def wide_image(side: int, num_layers: int) -> tuple[torch.nn.Module, Call]:
    """Width 1152, side x side tokens: a DiT-XL/2 of fewer blocks."""
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(
        num_attention_heads=16, attention_head_dim=72, in_channels=4, out_channels=8,
        num_layers=num_layers, sample_size=2 * side, patch_size=2, norm_type="ada_norm_zero",
        num_embeds_ada_norm=1000, activation_fn="gelu-approximate", attention_bias=True,
    )  # fmt: skip
    image, label = torch.randn(1, 4, 2 * side, 2 * side), torch.tensor([1])
    return model, lambda t: model(image, torch.tensor([int(t)]), label, return_dict=False)


def measure(
    name: str, model: torch.nn.Module, call: Call, num_runs: int, settings: Iterable[str]
) -> None:
    """Print one line a setting."""
    model.eval()

    def run() -> None:
        for timestep in TIMESTEPS:
            call(timestep)

    for setting in settings:
        technique = SETTINGS[setting]
        seen: dict[str, Any] = {}

        def accelerated(technique: Any = technique, seen: Any = seen) -> None:
            run()
            seen["stats"] = seen["handle"].stats()

        def dense(seen: Any = seen) -> None:
            with seen["handle"].pause():
                run()

        with tenuto.accelerate(model, technique) as handle:
            seen["handle"] = handle
            report = time_interleaved({"dense": dense, "ours": accelerated}, num_runs=num_runs)
        base, ours = report["dense"].median_s, report["ours"].median_s
        assert base is not None and ours is not None
        stats = seen["stats"]
        predicted, measured = stats.macs_ratio, base / ours
        share = stats.matching_s / (num_runs + 1) / ours  # one warm-up run is counted too
        print(
            f"| {name} | {setting} | {predicted:.2f}x | {measured:.2f}x | "
            f"{measured / predicted:.2f} | {share:.1%} | {base:.3f} s | {ours:.3f} s |",
            flush=True,
        )


def main() -> None:
    """Measure every model and setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--large", action="store_true", help="4096 tokens too (minutes)")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    print(this_machine(), versions(), sep="\n")
    print("| tokens x width | setting | MACs | measured | of predicted | matching | dense | ours |")
    print("|---|---|---|---|---|---|---|---|")
    with torch.no_grad():
        measure("512 x 192", *small_video(), chosen.runs, SETTINGS)
        measure("1024 x 1152", *wide_image(32, 2), chosen.runs, SETTINGS)
        if chosen.large:
            few = ("predict 1.0", "correct 0.5, keys all", "copy 0.5, keys kept")
            measure("4096 x 1152", *wide_image(64, 1), 3, few)


if __name__ == "__main__":
    main()
