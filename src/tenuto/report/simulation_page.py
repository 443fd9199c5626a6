"""A simulation as one HTML file. Every number on it is simulated, or quoted and says so."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tenuto.report.document import charts_html, document_html, replace_text
from tenuto.report.simulation import IDEAL, Claim, Machine, Simulation, read_simulation
from tenuto.report.simulation_figures import ladder_svg, roofline_svg, shares_text, stacked_svg

_MISSING = '<td class="missing">-</td>'


def write_simulation_report(path: Path, out: Path) -> Path:
    """Write a simulation.json as one self-contained HTML page.

    Args:
        path: The simulation.json.
        out: The page; replaced only once the new one is whole.

    Raises:
        ResultError: The file is missing, cut short or of another schema.
        MissingExtraError: matplotlib is not installed.
    """
    simulation = read_simulation(path)
    sections = {
        "Machines": _machines_html(simulation),
        "Against GPUs": _gpus_html(simulation),
        "Where it went": charts_html(_figures(simulation), "paired") + _shares_html(simulation),
    }
    footer = "Made by tenuto from simulation.json, schema 1. Nothing here was measured."
    title = f"{simulation.model}, simulated"
    replace_text(out, document_html(title, _header_html(simulation), sections, footer))
    return out


def _header_html(simulation: Simulation) -> str:
    of = {
        "scaled": "shapes are published, sparsity is assumed",
        "recorded": "recorded from a run",
    }.get(simulation.trace_kind, simulation.trace_kind)
    on = ", ".join(simulation.techniques) or "nothing: dense"
    command = f"<pre>{escape(simulation.command)}</pre>" if simulation.command else ""
    return (
        f"<h1>{escape(simulation.model)} on accelerators</h1>"
        f'<p class="headline">{escape(_finding(simulation))}</p>'
        '<p class="detail"><b>Every number on this page is simulated, except those in columns '
        "marked quoted, which are from papers. Nothing was measured.</b> Trace: "
        f"{escape(of)}. Techniques in it: {escape(on)}.</p>{command}"
    )


def _finding(simulation: Simulation) -> str:
    """Say the fastest chip, against the baseline if there is one."""
    base = next((m for m in simulation.machines if m.name == simulation.baseline), None)
    rivals = [m for m in simulation.machines if m is not base and not m.name.endswith(IDEAL)]
    best = min(rivals or simulation.machines, key=lambda machine: machine.seconds)
    if base is None or best is base:
        return f"{best.name}: {best.seconds:.3g} s and {best.energy_j:.3g} J, simulated."
    return (
        f"{best.name} is {base.seconds / best.seconds:.2f}x as fast as {base.name} and takes "
        f"{100 * best.energy_j / base.energy_j:.0f} % of its energy, simulated."
    )


def _machines_html(simulation: Simulation) -> str:
    base = next((m for m in simulation.machines if m.name == simulation.baseline), None)
    rows = "".join(_machine_html(machine, base) for machine in simulation.machines)
    relative = (
        f'<th scope="col">speed-up over {escape(base.name)}</th>'
        f'<th scope="col">energy, % of {escape(base.name)}</th>'
        if base
        else ""
    )
    notes = "".join(
        f"<li>{escape(machine.name)}: {escape(note)}</li>"
        for machine in simulation.machines
        for note in machine.notes
    )
    return (
        '<div class="scroller" role="region" aria-label="Machines" tabindex="0">'
        '<table class="results"><caption class="unseen">Simulated time, energy and area of every '
        'machine</caption><thead><tr><th scope="col">machine</th><th scope="col">seconds</th>'
        '<th scope="col">joules</th><th scope="col">low to high</th><th scope="col">watts</th>'
        f'<th scope="col">mm2</th>{relative}</tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="note">Simulated. Low to high: the range of the table of energy constants; of a '
        "GPU, idle and full board power.</p>" + (f"<ul>{notes}</ul>" if notes else "")
    )


def _machine_html(machine: Machine, base: Machine | None) -> str:
    low_high = machine.energy_range_j
    cells = [
        f"{machine.seconds:.4g}",
        f"{machine.energy_j:.4g}",
        f"{low_high[0]:.3g} to {low_high[1]:.3g}" if low_high else "-",
        f"{machine.energy_j / machine.seconds:.1f}",
        f"{machine.area_mm2:.1f}",
    ]
    if base is not None:
        cells += [
            f"{base.seconds / machine.seconds:.2f}x",
            f"{100 * machine.energy_j / base.energy_j:.1f}",
        ]
    kind = "GPU, ideal roofline" if machine.name.endswith(IDEAL) else "GPU, calibrated"
    tag = f' <span class="tag">{kind}</span>' if machine.is_gpu else ""
    return (
        f'<tr><th scope="row">{escape(machine.name)}{tag}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _gpus_html(simulation: Simulation) -> str:
    """Write chips against GPUs: ideal, calibrated and quoted in columns of their own."""
    by_name = {machine.name: machine for machine in simulation.machines}
    chips = [machine for machine in simulation.machines if not machine.is_gpu]
    gpus = [m.name for m in simulation.machines if m.is_gpu and f"{m.name}{IDEAL}" in by_name]
    rows = "".join(
        f'<tr><th scope="row">{escape(chip.name)} / {escape(gpu)}</th>'
        f"{_against_html(chip, by_name[gpu + IDEAL])}{_against_html(chip, by_name[gpu])}"
        f"{_claim_html(simulation.claims, chip.name, gpu)}</tr>"
        for chip in chips
        for gpu in gpus
    )
    if not rows:
        return ""
    pairs = {(chip.name, gpu) for chip in chips for gpu in gpus}
    sources = "".join(
        f"<li>{escape(claim.machine)} / {escape(claim.gpu)}: {escape(claim.source)}</li>"
        for claim in simulation.claims
        if (claim.machine, claim.gpu) in pairs
    )
    return (
        '<div class="scroller" role="region" aria-label="Against GPUs" tabindex="0">'
        '<table class="bands"><caption>Speed-up, and energy of the GPU over that of the chip, this '
        "trace against the GPU's dense run; quoted: over the paper's own models</caption><thead>"
        '<tr><td></td><th scope="col">ideal roofline (simulated)</th>'
        '<th scope="col">calibrated (simulated)</th><th scope="col">quoted from the paper</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
        + (f'<ul class="note">{sources}</ul>' if sources else "")
    )


def _against_html(chip: Machine, gpu: Machine) -> str:
    return (
        f"<td><b>{gpu.seconds / chip.seconds:.2f}x</b><br>"
        f"<small>energy {gpu.energy_j / chip.energy_j:.1f}x</small></td>"
    )


def _claim_html(claims: Sequence[Claim], chip: str, gpu: str) -> str:
    found = next((claim for claim in claims if (claim.machine, claim.gpu) == (chip, gpu)), None)
    if found is None:
        return _MISSING
    return (
        f"<td><b>{_range_text(found.speedup)}</b><br>"
        f"<small>energy {_range_text(found.energy_gain)}</small></td>"
    )


def _range_text(bounds: tuple[float | None, ...]) -> str:
    low, high = bounds
    if low is None:
        return "not published" if high is None else f"up to {high:g}x"
    return f"from {low:g}x" if high is None else f"{low:g} to {high:g}x"


def _figures(simulation: Simulation) -> list[tuple[str | None, str]]:
    machines = [m for m in simulation.machines if not m.name.endswith(IDEAL)]
    chips = [machine for machine in machines if not machine.is_gpu]
    seconds = {machine.name: f"{machine.seconds:.3g} s" for machine in machines}
    joules = {machine.name: f"{machine.energy_j:.3g} J" for machine in machines}
    areas = {machine.name: f"{machine.area_mm2:.1f} mm2" for machine in chips}
    parts = {name: {m.name: m.parts[name] for m in machines} for name in machines[0].parts}
    area = {machine.name: machine.parts["area_mm2"] for machine in chips}
    return [
        (
            stacked_svg(parts["cycles"], "cycles", "cycles", seconds),
            "Where every cycle went (simulated): work that counts first, then each stall by name.",
        ),
        (
            stacked_svg(parts["seconds_by_part"], "operations", "time", seconds),
            "The same time by kind of operation (simulated).",
        ),
        (stacked_svg(parts["energy_j"], "energy", "energy", joules), "Energy by part (simulated)."),
        (stacked_svg(area, "area", "area", areas), "Area by part, chips only (simulated)."),
        (
            roofline_svg(simulation.machines, "roofline"),
            "Roofline (simulated): lines are what arithmetic and memory allow, marks are the runs.",
        ),
        (
            ladder_svg(simulation.ladders, "ladder"),
            "Ladder (simulated): the workload under every recipe that a chip has the units for.",
        ),
    ]


def _shares_html(simulation: Simulation) -> str:
    """Write what the stacked bars show as text, for those who cannot tell twelve colours apart."""
    titles = {"cycles": "cycles", "energy_j": "energy", "area_mm2": "area"}
    rows = "".join(
        f'<tr><th scope="row">{escape(machine.name)}</th>'
        + "".join(f'<td class="words">{escape(shares_text(machine.parts[p]))}</td>' for p in titles)
        + "</tr>"
        for machine in simulation.machines
    )
    head = "".join(f'<th scope="col">{title}</th>' for title in titles.values())
    return (
        "<details><summary>The bars in words</summary>"
        '<div class="scroller" role="region" aria-label="Parts of every machine" tabindex="0">'
        f'<table class="settings"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )
