"""The commands of the hardware half: `tenuto simulate` and `tenuto sweep`. They load no torch."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenuto.traces.schema import Trace


def add_simulate(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `tenuto simulate`."""
    parser.add_argument("trace", help="a trace folder, or the name of a published workload")
    parser.add_argument(
        "--accelerator", action="append", required=True, metavar="NAME",
        help="orbis, exion4, exion24, exion42, tenuto1, dense, a100, rtx6000ada, orin-nano, h100 "
        "(GPUs also with -roofline after the name), or a .toml file; repeat for more rows",
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


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `tenuto sweep`."""
    parser.add_argument("file", type=Path, help="traces, recipes, accelerators and [vary], in TOML")
    parser.add_argument(
        "--out", type=Path,
        help="results, one JSON object a line (default: FILE's name with .jsonl); the same "
        "command again goes on where it stopped",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument("--ray", metavar="ADDRESS", help="a running Ray cluster instead")
    parser.add_argument("--json", type=Path, help="also write the Pareto front to this file")


def simulate(chosen: argparse.Namespace) -> int:
    """Simulate one trace on one or more machines."""
    from tenuto.accelerators import load
    from tenuto.accelerators import simulate as run
    from tenuto.accelerators.table import report_table

    _check_json(chosen.json)
    machines = [load(name) for name in chosen.accelerator]
    other = load(chosen.baseline) if chosen.baseline else None
    trace = _trace(chosen.trace, chosen.recipe, chosen.sparsity_from)
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
    return 0


def sweep(chosen: argparse.Namespace) -> int:
    """Simulate every point of a sweep file that its results lack."""
    from tqdm import tqdm

    from tenuto.accelerators.sweep import points_of, read_sweep
    from tenuto.accelerators.sweep_results import Results, pareto_front
    from tenuto.accelerators.sweep_run import run_sweep

    _check_json(chosen.json)
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


def _check_json(file: Path | None) -> None:
    if file is not None and not file.parent.is_dir():
        raise ValueError(f"`--json` must be in a folder that exists, got {str(file)!r}")


def _trace(name: str, recipe: str, sparsity_from: Path | None) -> "Trace":
    from tenuto.traces.scaled import scaled_trace
    from tenuto.traces.store import open_trace
    from tenuto.traces.workloads import WORKLOADS

    if Path(name).is_dir():
        if sparsity_from is not None:
            raise ValueError(
                f"`--sparsity-from` must come with a workload's name, got the trace {name!r}"
            )
        return open_trace(name)
    if name not in WORKLOADS:
        raise ValueError(
            f"`trace` must be a trace folder or one of {sorted(WORKLOADS)}, got {name!r}"
        )
    statistics = None if sparsity_from is None else open_trace(sparsity_from)
    return scaled_trace(name, recipe, statistics=statistics)
