"""One trace on several machines as plain values: what `tenuto simulate` saves and the report draws.

GPUs come in three columns that are never mixed: an ideal roofline and a calibrated model, both
simulated, and what papers report, quoted.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from tenuto.accelerators import Chip, Gpu, load, simulate
from tenuto.accelerators.report import CycleReport
from tenuto.traces.recipes import RECIPES, Recipe
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import Trace

SCHEMA = 1
_IDEAL = "-roofline"


def simulation_of(
    trace: Trace, names: Sequence[str], baseline: str | None, workload: str | None
) -> dict[str, Any]:
    """Simulate a trace for a report.

    Args:
        trace: What ran.
        names: Machines, as `load` takes them. A GPU is simulated as an ideal roofline too.
        baseline: What speed-up and energy are relative to, None for nothing.
        workload: The published workload that the trace is scaled from, for the ladder over all
            recipes; None for a recorded trace, which has no ladder.

    Returns:
        Plain values; their form is fixed in docs/results.md.
    """
    wanted = [*names, *([baseline] if baseline else [])]
    ideals = [f"{name}{_IDEAL}" for name in wanted if _is_whole_gpu(name)]
    reports = [_report(trace, name) for name in dict.fromkeys([*wanted, *ideals])]
    chips = [name for name in dict.fromkeys(wanted) if isinstance(load(name), Chip)]
    return {
        "schema": SCHEMA,
        "simulated": True,
        "model": trace.manifest.model,
        "trace_kind": trace.manifest.kind,
        "techniques": list(trace.manifest.techniques),
        "baseline": baseline,
        "reports": reports,
        "ladders": {} if workload is None else ladders(workload, chips),
        "quoted": quoted(),
    }


def ladders(workload: str, chips: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Simulate a workload under every recipe that a chip has the units for.

    Returns:
        Chip -> recipe, seconds and joules of each rung.
    """
    found: dict[str, list[dict[str, Any]]] = {chip: [] for chip in chips}
    for name, recipe in RECIPES.items():
        able = [chip for chip in chips if _can(load(chip), recipe)]
        trace = scaled_trace(workload, name) if able else None
        for chip in able:
            assert trace is not None
            report = simulate(trace, chip)
            rung = {"recipe": name, "seconds": report.seconds, "energy_j": report.energy_j}
            found[chip].append(rung)
    return found


def _can(machine: Chip | Gpu, recipe: Recipe) -> bool:
    """Whether a machine has units for all that a recipe does, and would do it that way."""
    if not isinstance(machine, Chip):
        return False
    reduces = recipe.token_scale > 0
    has_matching = recipe.is_matched_by_datm or machine.matcher is None
    return (
        (not reduces or (machine.skips_tokens and has_matching))
        and (not recipe.reuses_ffn or machine.reuses_ffn)
        and (not recipe.predicts_scores or machine.predictor is not None)
        and (recipe.forecast_interval == 1 or machine.forecasts)
    )


def quoted() -> list[dict[str, Any]]:
    """Return what papers report of their machines against GPUs; nothing here computed it."""
    text = (files("tenuto.accelerators") / "data" / "quoted.json").read_text(encoding="utf-8")
    return json.loads(text)["claims"]


def _report(trace: Trace, name: str) -> dict[str, Any]:
    """Simulate; with the machine's peaks, for a roofline."""
    machine = load(name)
    report: CycleReport = simulate(trace, machine)
    return {**report.to_dict(), "accelerator": name, **_peaks(machine)}


def _peaks(machine: Any) -> Mapping[str, Any]:
    if isinstance(machine, Chip):
        macs_per_s = machine.macs_per_cycle * machine.clock_hz
        bytes_per_s = machine.dram.peak_bytes_per_s
    else:
        macs_per_s, bytes_per_s = machine.macs_per_s, machine.bytes_per_s
    kind = "chip" if isinstance(machine, Chip) else "gpu"
    return {"kind": kind, "peak_macs_per_s": macs_per_s, "peak_bytes_per_s": bytes_per_s}


def _is_whole_gpu(name: str) -> bool:
    """A GPU under its plain name, whose roofline has a name of its own."""
    return not isinstance(load(name), Chip) and not name.endswith((_IDEAL, "-fp32", ".json"))
