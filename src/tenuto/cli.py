"""The `tenuto` command. Each subcommand loads, calls and writes; the work is elsewhere."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenuto import __version__, cli_hardware, cli_setup, cli_trace
from tenuto.cli_composed import run_composed
from tenuto.cli_files import check_json
from tenuto.cli_gpu import add_gpu_table, run_gpu_table
from tenuto.cli_options import add_calibrate, add_compare, add_demo, add_generate
from tenuto.cli_progress import progress_bar
from tenuto.cli_rtl import add_rtl, run_rtl
from tenuto.cli_ui import add_ui, run_ui
from tenuto.errors import TenutoError

if TYPE_CHECKING:
    from tenuto.evaluation.compare import Measure
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
        prog="tenuto",
        description="Faster diffusion transformers without retraining.",
        epilog="example: tenuto demo --out demo; each command has an example in its own --help",
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
    add_gpu_table(_command(commands, "gpu-table", run_gpu_table, "measure a GPU for `simulate`",
                           "tenuto gpu-table --like a100 --out my-a100.json"))  # fmt: skip
    report = _command(commands, "report", _report, "a result folder as one HTML page",
                      "tenuto report demo")  # fmt: skip
    report.add_argument(
        "folder", type=Path,
        help="result folder of demo, compare or simulate --report; or the .jsonl of a sweep",
    )  # fmt: skip
    report.add_argument(
        "--out", type=Path, help="the page; FOLDER/report.html, or beside the .jsonl, if not given"
    )
    add_rtl(_command(commands, "rtl", run_rtl, "the hardware units: emit, verify, prove, area",
                     "tenuto rtl verify"))  # fmt: skip
    cli_setup.add_doctor(
        _command(commands, "doctor", cli_setup.doctor, "what is installed, what a model takes",
                 "tenuto doctor emoji-video"))  # fmt: skip
    cli_setup.add_completion(
        _command(commands, "completion", partial(cli_setup.completion, parser=parser),
                 "completion for a shell", 'eval "$(tenuto completion bash)"'))  # fmt: skip
    add_ui(_command(commands, "ui", run_ui, "a playground in the browser", "tenuto ui"))
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
    measure_all = None
    if chosen.ray is not None:
        from tenuto.evaluation.ray_workers import on_ray

        measure_all = on_ray(chosen.ray)
    return _run_comparison(plan, chosen.json, measure_all)


def _check_writable(folder: Path) -> None:
    """Raise before the work where its result could not be written."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise ValueError(f"`--out` must be in a folder that can be written, got {str(folder)!r}")


def _run_comparison(
    plan: "Plan", json_file: Path | None, measure_all: "Measure | None" = None
) -> int:
    from tenuto.evaluation.compare import compare, num_progress
    from tenuto.evaluation.table import result_table
    from tenuto.report import write_report

    check_json(json_file)
    _check_writable(plan.folder)
    with progress_bar(num_progress(plan)) as step:
        result = compare(plan, step, measure_all)
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

    _check_writable(chosen.out.parent)
    if chosen.method == "composed":
        return run_composed(chosen)
    target = _only(chosen.target_psnr), _only(chosen.target_speed)
    has_target = target != (None, None)
    if has_target and chosen.method == "pmr":
        raise ValueError(
            "`--target-psnr` and `--target-speed` must come with --method forecast or composed, "
            "got pmr"
        )
    num_prompts = chosen.prompts + has_target * (NUM_SEARCHED + NUM_CHECKED)
    prompts = prompts_for(chosen.model, "seen", num_prompts, chosen.prompt_file)
    workload = _workload(chosen)
    with progress_bar(None) as step:
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


def _only(targets: list[float] | None) -> float | None:
    """Return the target of a method that takes one."""
    if targets is not None and len(targets) > 1:
        raise ValueError(f"`--method` must be composed for several targets, got {targets}")
    return None if targets is None else targets[0]


def _draw_pmr(path: Path) -> Path:
    """Draw a calibration's Pair Match Ratios beside it."""
    from tenuto.integration.calibration import load_calibration
    from tenuto.report.pmr_picture import write_pmr_picture

    calibration = load_calibration(str(path))
    assert calibration.pmr is not None
    picture = path.with_suffix(".png")
    return write_pmr_picture(calibration.pmr.tolist(), calibration.ratios, picture)


def _report(chosen: argparse.Namespace) -> int:
    from tenuto.report import write_report, write_simulation_report, write_sweep_report

    folder: Path = chosen.folder
    if folder.suffix == ".jsonl":
        print(write_sweep_report(folder, chosen.out or folder.with_suffix(".html")))
    elif (folder / "simulation.json").exists() and not (folder / "compare.json").exists():
        out = chosen.out or folder / "report.html"
        print(write_simulation_report(folder / "simulation.json", out))
    else:
        print(write_report(folder, chosen.out))
    return 0


def _workload(chosen: argparse.Namespace) -> Any:
    from tenuto.evaluation.generation import load_workload, set_threads

    set_threads(chosen.threads)
    return load_workload(
        chosen.model, num_steps=chosen.steps, seed=chosen.seed, scheduler=chosen.scheduler
    )
