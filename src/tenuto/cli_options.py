"""What the subcommands of `tenuto` take."""

import argparse
from pathlib import Path

CALIBRATION_SEED = 1_000_000
"""Far from the seeds that comparisons start from: no evaluation noise is ever calibrated on."""


_MODELS = "emoji-video, emoji-image, or a pipeline folder of diffusers' format"
SPEC = (
    "name:key=value,key=value with + between the items of a tuple, e.g. "
    "dito:ratio=0.5,interval=3,scope=attn+ffn (fields of tenuto.DiTo) | orbis:ratio=0.5 | "
    "ffn-reuse:sparsity=0.5,granularity=column | eager:keep_ratio=0.5 | several of these joined by "
    "+, e.g. dito+ffn-reuse:sparsity=0.5 | composed:fast.safetensors | dito-paper | orbis-paper | "
    "tomesd:ratio=0.5 | tofu | sito | toma | asymrnr | toca-style | duca-style | resca-style | "
    "clusca-style | fewer-steps:30 | fewer-steps:30+dito | taylorseer:interval=2,scope=blocks | "
    "fbc:threshold=0.1 | magcache | pab | cache-dit | off"
)


def add_workload(parser: argparse.ArgumentParser, seed: int = 0) -> None:
    """Model, steps, seed, scheduler, threads."""
    parser.add_argument("--model", required=True, help=_MODELS)
    parser.add_argument("--steps", type=int, default=40, help="denoising steps (default 40)")
    parser.add_argument(
        "--seed", type=int, default=seed, help=f"noise of the first prompt (default {seed})"
    )
    parser.add_argument(
        "--scheduler", help="unipc, dpm2m or euler; the embedded models' own is unipc"
    )
    parser.add_argument("--threads", type=int, help="CPU threads of torch (default: its own)")


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Options of `tenuto demo`."""
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (default demo)")
    parser.add_argument("--prompts", type=int, default=2, help="captions (default 2)")
    parser.add_argument("--runs", type=int, default=3, help="timed runs of each row (default 3)")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (default: its own)")
    parser.add_argument("--json", type=Path, help="also write the result to this file")


def add_generate(parser: argparse.ArgumentParser) -> None:
    """Options of `tenuto generate`."""
    parser.add_argument("caption", help="what to draw")
    parser.add_argument("--model", default="emoji-video", help=f"{_MODELS} (default emoji-video)")
    parser.add_argument("-t", "--technique", default="off", metavar="SPEC", help=SPEC)
    parser.add_argument("--steps", type=int, default=40, help="denoising steps (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    parser.add_argument("--scheduler", help="as for compare")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (default: its own)")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("sample.webp"),
        help="a .webp, .png or .gif file (default sample.webp)",
    )  # fmt: skip


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Options of `tenuto compare`."""
    add_workload(parser)
    parser.add_argument(
        "-t", "--technique", action="append", required=True, metavar="SPEC",
        help=f"one row: {SPEC}; repeat for more rows",
    )  # fmt: skip
    parser.add_argument("--prompts", type=int, default=32, help="how many (default 32)")
    parser.add_argument(
        "--split", default="held-out", choices=("seen", "held-out"),
        help="which captions of an embedded model (default held-out)",
    )  # fmt: skip
    parser.add_argument("--prompt-file", type=Path, help="captions, one a line (pipeline folders)")
    parser.add_argument("--speed", action="store_true", help="time the rows too, interleaved")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each row (default 5)")
    parser.add_argument(
        "--out", type=Path, default=Path("comparison"),
        help="result folder (default comparison); the same command again goes on where it stopped",
    )  # fmt: skip
    parser.add_argument(
        "--ray", metavar="ADDRESS",
        help="draw and measure the samples on a running Ray cluster; times are taken here",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write the result to this file")


def add_calibrate(parser: argparse.ArgumentParser) -> None:
    """Options of `tenuto calibrate`."""
    add_workload(parser, seed=CALIBRATION_SEED)
    parser.add_argument(
        "--method", choices=("pmr", "forecast", "composed"), default="forecast",
        help="DiTo's Pair Match Ratio, fitted forecasts (default), or a search over all techniques "
        "together, which needs a target",
    )  # fmt: skip
    parser.add_argument(
        "--prompts", type=int, default=12,
        help="dense runs on captions of the split 'seen' (default 12; forecast needs 3 or more)",
    )  # fmt: skip
    parser.add_argument(
        "--speed", type=float, nargs="+", default=[1.5],
        help="forecast: wanted speed-ups (default 1.5); several add -1.5x and so on to the name",
    )  # fmt: skip
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--target-psnr", type=float, nargs="+", metavar="DB",
        help="the fastest setting of at least this mean PSNR, checked on other captions; composed "
        "takes several, and each adds its own to the name",
    )  # fmt: skip
    target.add_argument(
        "--target-speed", type=float, nargs="+", metavar="X",
        help="the best setting of this speed-up, checked on other captions; several as above",
    )  # fmt: skip
    parser.add_argument(
        "--price", choices=("time", "macs"), default="time",
        help="composed: what a speed-up is of; macs admits techniques that save no time here",
    )  # fmt: skip
    parser.add_argument(
        "--evaluations", type=int, default=12,
        help="composed: compositions that are measured for a target at most (default 12)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, default=1, help="composed: processes, one thread each (default 1)"
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=float, default=0.6, help="pmr: match again below (default 0.6)"
    )
    parser.add_argument(
        "--max-gap", type=int, help="most steps between dense ones (default: pmr 8, forecast 4)"
    )
    parser.add_argument("--prompt-file", type=Path, help="captions, one a line (pipeline folders)")
    parser.add_argument("--out", type=Path, required=True, help="the calibration, .safetensors")
