"""The `tenuto` command. Each subcommand loads, calls and writes; the work is elsewhere."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenuto import __version__
from tenuto.errors import TenutoError

if TYPE_CHECKING:
    from tenuto.evaluation.samples import Plan

_INTERRUPTED = 130

CALIBRATION_SEED = 1_000_000
"""Far from the seeds that comparisons start from: no evaluation noise is ever calibrated on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when it worked, 1 when it failed, 2 when it was called wrongly."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    # transformers would warn of image processors that no command here uses.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        return chosen.run(chosen)
    except (TenutoError, ValueError, TypeError, OSError) as error:
        print(f"tenuto {chosen.command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError | TypeError) else 1
    except KeyboardInterrupt:
        print(
            f"tenuto {chosen.command}: interrupted; the same command goes on where it stopped",
            file=sys.stderr,
        )
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tenuto", description="Faster diffusion transformers without retraining."
    )
    parser.add_argument("--version", action="version", version=f"tenuto {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(_command(commands, "demo", _demo, "the embedded video model with and without tenuto",
                       "tenuto demo --out demo"))  # fmt: skip
    _add_generate(_command(commands, "generate", _generate, "draw one sample",
                           'tenuto generate "a frog spins over the sea" -t dito'))  # fmt: skip
    _add_compare(_command(commands, "compare", _compare, "fidelity and speed of several techniques",
                          "tenuto compare --model emoji-video -t dito -t fewer-steps:20 "
                          "--prompts 4 --speed"))  # fmt: skip
    _add_calibrate(_command(commands, "calibrate", _calibrate, "measure a model, choose a schedule",
                            "tenuto calibrate --model emoji-video --steps 40 --method forecast "
                            "--speed 1.5 --out fast.safetensors"))  # fmt: skip
    report = _command(commands, "report", _report, "a result folder as one HTML page",
                      "tenuto report demo")  # fmt: skip
    report.add_argument("folder", type=Path, help="result folder of demo or compare")
    report.add_argument("--out", type=Path, help="the page; FOLDER/report.html if not given")
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str, example: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=text, description=f"{name}: {text}.", epilog=f"example: {example}"
    )
    parser.set_defaults(run=run)
    return parser


_MODELS = "emoji-video, emoji-image, or a pipeline folder of diffusers' format"
_SPEC = (
    "name:key=value,key=value with + between the items of a tuple, e.g. "
    "dito:ratio=0.5,interval=3,scope=attn+ffn (keys: the fields of tenuto.DiTo) | dito-paper | "
    "ffn-reuse:sparsity=0.5,granularity=column (fields of tenuto.FFNReuse) | both joined "
    "by +, e.g. dito:ratio=0.5+ffn-reuse:sparsity=0.5 | tomesd:ratio=0.5 | fewer-steps:30 | "
    "taylorseer:interval=2,scope=blocks | fbc:threshold=0.1 | magcache | "
    "pab | cache-dit | off"
)


def _add_workload(parser: argparse.ArgumentParser, seed: int = 0) -> None:
    parser.add_argument("--model", required=True, help=_MODELS)
    parser.add_argument("--steps", type=int, default=40, help="denoising steps (default 40)")
    parser.add_argument(
        "--seed", type=int, default=seed, help=f"noise of the first prompt (default {seed})"
    )
    parser.add_argument(
        "--scheduler", help="unipc, dpm2m or euler; the embedded models' own is unipc"
    )
    parser.add_argument("--threads", type=int, help="CPU threads of torch (default: its own)")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder (default demo)")
    parser.add_argument("--prompts", type=int, default=2, help="captions (default 2)")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each row (default 5)")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (default: its own)")
    parser.add_argument("--json", type=Path, help="also write the result to this file")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("caption", help="what to draw")
    parser.add_argument("--model", default="emoji-video", help=f"{_MODELS} (default emoji-video)")
    parser.add_argument("-t", "--technique", default="off", metavar="SPEC", help=_SPEC)
    parser.add_argument("--steps", type=int, default=40, help="denoising steps (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    parser.add_argument("--scheduler", help="as for compare")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (default: its own)")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("sample.webp"),
        help="a .webp, .png or .gif file (default sample.webp)",
    )  # fmt: skip


def _add_compare(parser: argparse.ArgumentParser) -> None:
    _add_workload(parser)
    parser.add_argument(
        "-t", "--technique", action="append", required=True, metavar="SPEC",
        help=f"one row: {_SPEC}; repeat for more rows",
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
    parser.add_argument("--json", type=Path, help="also write the result to this file")


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    _add_workload(parser, seed=CALIBRATION_SEED)
    parser.add_argument(
        "--method", choices=("pmr", "forecast"), default="forecast",
        help="DiTo's Pair Match Ratio, or fitted forecasts (default)",
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
        "--target-psnr", type=float, metavar="DB",
        help="forecast: the fastest schedule of at least this mean PSNR, checked on other captions",
    )  # fmt: skip
    target.add_argument(
        "--target-speed", type=float, metavar="X",
        help="forecast: the best schedule of this speed-up, checked on other captions",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=float, default=0.6, help="pmr: match again below (default 0.6)"
    )
    parser.add_argument(
        "--max-gap", type=int, help="most steps between dense ones (default: pmr 8, forecast 4)"
    )
    parser.add_argument("--prompt-file", type=Path, help="captions, one a line (pipeline folders)")
    parser.add_argument("--out", type=Path, required=True, help="the calibration, .safetensors")


def _demo(chosen: argparse.Namespace) -> int:
    from tenuto.evaluation.demo import demo_plan

    _set_threads(chosen)
    plan = demo_plan(chosen.out, chosen.prompts, chosen.runs)
    return _run_comparison(plan, chosen.json)


def _compare(chosen: argparse.Namespace) -> int:
    from tenuto.evaluation.contenders import contender
    from tenuto.evaluation.prompts import prompts_for
    from tenuto.evaluation.samples import Plan

    contenders = tuple(contender(spec) for spec in chosen.technique)
    prompts = prompts_for(chosen.model, chosen.split, chosen.prompts, chosen.prompt_file)
    plan = Plan(
        workload=_workload(chosen),
        contenders=contenders,
        prompts=prompts,
        folder=chosen.out,
        num_timed_runs=chosen.runs if chosen.speed else 0,
        command="tenuto " + " ".join(sys.argv[1:]),
        notes=(("split", chosen.split),),
    )
    return _run_comparison(plan, chosen.json)


def _run_comparison(plan: "Plan", json_file: Path | None) -> int:
    from tenuto.evaluation.compare import compare, num_progress
    from tenuto.evaluation.table import result_table
    from tenuto.report import write_report

    if json_file is not None and not json_file.parent.is_dir():
        raise ValueError(f"`--json` must be in a folder that exists, got {str(json_file)!r}")
    with _bar(num_progress(plan)) as step:
        result = compare(plan, step)
    print(result_table(result))
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"\nreport: {write_report(plan.folder)}")
    return 0


def _generate(chosen: argparse.Namespace) -> int:
    from tenuto.evaluation.contenders import contender
    from tenuto.evaluation.sample_file import check_suffix, write_sample

    check_suffix(chosen.out)
    technique = contender(chosen.technique)
    workload = _workload(chosen)
    with technique.applied(workload.pipe) as stats_of:
        sample = workload.generate(chosen.caption, 0, technique.num_steps)
        stats = stats_of()
    write_sample(sample, chosen.out)
    print("" if stats is None else f"{stats}\n", f"wrote {chosen.out}", sep="")
    return 0


def _calibrate(chosen: argparse.Namespace) -> int:
    from tenuto.evaluation.calibrate import calibrate_forecast, calibrate_pmr
    from tenuto.evaluation.calibrate_target import (
        NUM_CHECKED,
        NUM_SEARCHED,
        calibrate_to_target,
    )
    from tenuto.evaluation.prompts import prompts_for

    target = chosen.target_psnr, chosen.target_speed
    has_target = target != (None, None)
    if has_target and chosen.method == "pmr":
        raise ValueError("`--target-psnr` and `--target-speed` must come with --method forecast")
    num_prompts = chosen.prompts + has_target * (NUM_SEARCHED + NUM_CHECKED)
    prompts = prompts_for(chosen.model, "seen", num_prompts, chosen.prompt_file)
    workload = _workload(chosen)
    with _bar(None) as step:
        if chosen.method == "pmr":
            gap = chosen.max_gap or 8
            text = calibrate_pmr(workload, prompts, chosen.threshold, gap, chosen.out, step)
            text += f" and {_draw_pmr(chosen.out)}"
        elif has_target:
            gap = chosen.max_gap or 4
            text = calibrate_to_target(workload, prompts, target, gap, chosen.out, step)
        else:
            gap = chosen.max_gap or 4
            text = calibrate_forecast(workload, prompts, tuple(chosen.speed), gap, chosen.out, step)
    print(text)
    return 0


def _draw_pmr(path: Path) -> Path:
    """Draw a calibration's Pair Match Ratios beside it."""
    from tenuto.integration.calibration import load_calibration
    from tenuto.report.pmr_picture import write_pmr_picture

    calibration = load_calibration(str(path))
    assert calibration.pmr is not None
    picture = path.with_suffix(".png")
    return write_pmr_picture(calibration.pmr.tolist(), calibration.ratios, picture)


def _report(chosen: argparse.Namespace) -> int:
    from tenuto.report import write_report

    print(write_report(chosen.folder, chosen.out))
    return 0


def _workload(chosen: argparse.Namespace) -> Any:
    from tenuto.evaluation.generation import load_workload

    _set_threads(chosen)
    return load_workload(
        chosen.model, num_steps=chosen.steps, seed=chosen.seed, scheduler=chosen.scheduler
    )


def _set_threads(chosen: argparse.Namespace) -> None:
    if chosen.threads is None:
        return
    if chosen.threads < 1:
        raise ValueError(f"`--threads` must be at least 1, got {chosen.threads}")
    import torch

    torch.set_num_threads(chosen.threads)


@contextmanager
def _bar(total: int | None) -> Iterator[Callable[[str], None]]:
    """A progress bar on the error stream; the function steps it and names what was done."""
    from tqdm import tqdm

    with tqdm(total=total, file=sys.stderr, unit="run", dynamic_ncols=True) as bar:

        def step(done: str) -> None:
            bar.set_description_str(done[:40])
            bar.update()

        yield step
