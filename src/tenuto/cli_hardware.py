"""The commands of the hardware half: `tenuto simulate` and `tenuto sweep`. They load no torch."""

import argparse
import json
import sys
from pathlib import Path

from tenuto.cli_files import check_json

_SWEEP_FILE = """a sweep file, design.toml:
  traces = ["dit", "flux-1024"]         # workloads, or trace folders
  recipes = ["composed"]                # of the workloads
  accelerators = ["exion24"]            # names, or .toml files
  [vary]                                # every combination of
  num_cores = [12, 24]
  "sram.capacity_bytes" = [25165824, 75169792]"""


def add_simulate(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `tenuto simulate`."""
    parser.add_argument("trace", help="a trace folder, or the name of a published workload")
    parser.add_argument(
        "--accelerator", action="append", required=True, metavar="NAME",
        help="orbis, exion4, exion24, exion42, tenuto1, tenuto1-large, dense, a100, rtx6000ada, "
        "orin-nano, h100 (GPUs also with -roofline or -fp32 after the name), a .toml file of a "
        "chip, or a .json file of `tenuto gpu-table`; repeat for more rows",
    )  # fmt: skip
    parser.add_argument("--baseline", metavar="NAME", help="compare with this one")
    parser.add_argument(
        "--recipe", default="composed",
        help="techniques that a workload's trace assumes: composed (default), dense, orbis, "
        "input-guided, ffn-reuse, eager, exion, forecast",
    )  # fmt: skip
    parser.add_argument(
        "--sparsity-from", type=Path, metavar="DIR",
        help="a recorded trace whose tiles give a workload's sparsity",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write the reports to this file")
    parser.add_argument(
        "--report", type=Path, metavar="DIR",
        help="also write simulation.json and report.html there: every cycle, joule and mm2, GPUs "
        "in columns of their own, and of a workload the ladder over all recipes",
    )  # fmt: skip


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `tenuto sweep`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"{parser.epilog}\n\n{_SWEEP_FILE}"
    parser.add_argument("file", type=Path, help="traces, recipes, accelerators and [vary], in TOML")
    parser.add_argument(
        "--out", type=Path,
        help="results, one JSON object a line (default: FILE's name with .jsonl); the same "
        "command again goes on where it stopped",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument(
        "--ray", metavar="ADDRESS",
        help="a running Ray cluster instead: HOST:PORT, or auto for this machine's",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write the Pareto front to this file")


def simulate(chosen: argparse.Namespace) -> int:
    """Simulate one trace on one or more machines."""
    from tenuto.accelerators import load
    from tenuto.accelerators import simulate as run
    from tenuto.accelerators.table import report_table
    from tenuto.traces.by_name import trace_named

    check_json(chosen.json)
    machines = [load(name) for name in chosen.accelerator]
    other = load(chosen.baseline) if chosen.baseline else None
    trace = trace_named(chosen.trace, chosen.recipe, chosen.sparsity_from)
    reports = [run(trace, machine) for machine in machines]
    baseline = run(trace, other) if other else None
    print(report_table(reports, baseline))
    if chosen.json is not None:
        content = {
            "reports": [report.to_dict() for report in reports],
            "baseline": baseline.to_dict() if baseline else None,
            "simulated": True,
        }
        chosen.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    if chosen.report is not None:
        print(f"\nreport: {_write_report(chosen, trace)}")
    return 0


def _write_report(chosen: argparse.Namespace, trace: "Trace") -> Path:
    from tenuto.accelerators.simulation import simulation_of
    from tenuto.report import write_simulation_report

    workload = None if Path(chosen.trace).is_dir() else chosen.trace
    content = simulation_of(trace, chosen.accelerator, chosen.baseline, workload)
    content["command"] = "tenuto " + " ".join(sys.argv[1:])
    chosen.report.mkdir(parents=True, exist_ok=True)
    file = chosen.report / "simulation.json"
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return write_simulation_report(file, chosen.report / "report.html")


def sweep(chosen: argparse.Namespace) -> int:
    """Simulate every point of a sweep file that its results lack."""
    from tqdm import tqdm

    from tenuto.accelerators.sweep import points_of, read_sweep
    from tenuto.accelerators.sweep_results import Results, pareto_front
    from tenuto.accelerators.sweep_run import run_sweep

    check_json(chosen.json)
    if chosen.workers is not None and chosen.workers < 1:
        raise ValueError(f"`--workers` must be at least 1, got {chosen.workers}")
    points = list(points_of(read_sweep(chosen.file)))
    out = chosen.out or chosen.file.with_suffix(".jsonl")
    results = Results(out)
    keys = [point.key for point in points]
    done = sum(key in results.rows for key in keys)
    with tqdm(total=len(points), initial=done, file=sys.stderr, unit="point") as bar:

        def step(name: str) -> None:
            bar.set_description_str(name[:40])
            bar.update()

        run_sweep(points, results, num_workers=chosen.workers, ray_address=chosen.ray, step=step)
    front = pareto_front([results.rows[key] for key in keys])
    print(f"{len(points)} points, {len(points) - done} of them new: {out}")
    print("not beaten in seconds, joules and mm2 at once (simulated):")
    for row in sorted(front, key=lambda row: (row["trace"], row["seconds"])):
        changes = ", ".join(f"{name}={value}" for name, value in row["changes"].items())
        print(
            f"  {row['trace']:<28}{row['accelerator']:<10}{row['seconds']:>10.4g} s"
            f"{row['energy_j']:>10.4g} J{row['area_mm2']:>8.1f} mm2  {changes}"
        )
    if chosen.json is not None:
        content = {"points": len(points), "pareto_front": front, "simulated": True}
        chosen.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return 0
