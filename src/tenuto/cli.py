"""The `tenuto` command. Each subcommand loads, calls and writes; the work is elsewhere."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenuto import __version__, cli_hardware, cli_trace
from tenuto.cli_options import add_calibrate, add_compare, add_demo, add_generate
from tenuto.cli_rtl import add_rtl, run_rtl
from tenuto.errors import TenutoError

if TYPE_CHECKING:
    from tenuto.evaluation.samples import Plan

_INTERRUPTED = 130


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
        again = "begins anew" if chosen.command == "trace" else "goes on where it stopped"
        print(f"tenuto {chosen.command}: interrupted; the same command {again}", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tenuto", description="Faster diffusion transformers without retraining."
    )
    parser.add_argument("--version", action="version", version=f"tenuto {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_demo(_command(commands, "demo", _demo, "the embedded video model with and without tenuto",
                       "tenuto demo --out demo"))  # fmt: skip
    add_generate(_command(commands, "generate", _generate, "draw one sample",
                           'tenuto generate "a frog spins over the sea" -t dito'))  # fmt: skip
    add_compare(_command(commands, "compare", _compare, "fidelity and speed of several techniques",
                          "tenuto compare --model emoji-video -t dito -t fewer-steps:20 "
                          "--prompts 4 --speed"))  # fmt: skip
    add_calibrate(_command(commands, "calibrate", _calibrate, "measure a model, choose a schedule",
                            "tenuto calibrate --model emoji-video --steps 40 --method forecast "
                            "--speed 1.5 --out fast.safetensors"))  # fmt: skip
    cli_trace.add_trace(_command(commands, "trace", cli_trace.trace, "record a run for `simulate`",
                                 "tenuto trace --model emoji-video -t dito+ffn-reuse --steps 8 "
                                 "--out run"))  # fmt: skip
    cli_hardware.add_simulate(
        _command(commands, "simulate", cli_hardware.simulate, "a run on an accelerator",
                 "tenuto simulate hunyuan-video --accelerator orbis --baseline a100"))  # fmt: skip
    cli_hardware.add_sweep(
        _command(commands, "sweep", cli_hardware.sweep, "accelerator sizes x traces",
                 "tenuto sweep design.toml"))  # fmt: skip
    report = _command(commands, "report", _report, "a result folder as one HTML page",
                      "tenuto report demo")  # fmt: skip
    report.add_argument("folder", type=Path, help="result folder of demo or compare")
    report.add_argument("--out", type=Path, help="the page; FOLDER/report.html if not given")
    add_rtl(_command(commands, "rtl", run_rtl, "the hardware units: emit, verify, prove, area",
                     "tenuto rtl verify"))  # fmt: skip
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str, example: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=text, description=f"{name}: {text}.", epilog=f"example: {example}"
    )
    parser.set_defaults(run=run)
    return parser


def _demo(chosen: argparse.Namespace) -> int:
    from tenuto.evaluation.demo import demo_plan
    from tenuto.evaluation.generation import set_threads

    set_threads(chosen.threads)
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
    from tenuto.evaluation.generation import load_workload, set_threads

    set_threads(chosen.threads)
    return load_workload(
        chosen.model, num_steps=chosen.steps, seed=chosen.seed, scheduler=chosen.scheduler
    )


@contextmanager
def _bar(total: int | None) -> Iterator[Callable[[str], None]]:
    """A progress bar on the error stream; the function steps it and names what was done."""
    from tqdm import tqdm

    with tqdm(total=total, file=sys.stderr, unit="run", dynamic_ncols=True) as bar:

        def step(done: str) -> None:
            bar.set_description_str(done[:40])
            bar.update()

        yield step
