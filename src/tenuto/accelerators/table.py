"""Reports as text: one row a machine, then where the cycles and joules of each went."""

from collections.abc import Sequence

from tenuto.accelerators.report import CycleReport

_LEAST_SHARE = 0.005


def report_table(reports: Sequence[CycleReport], baseline: CycleReport | None = None) -> str:
    """Format reports of one trace; with a baseline, speed-up and energy relative to it."""
    first = reports[0]
    marked = "recorded run"
    if first.trace_kind == "scaled":
        source = first.sources[-1] if first.sources else ""
        is_recorded = "recorded run" in source
        marked = source.replace("sparsity:", "sparsity of") if is_recorded else "sparsity assumed"
    lines = [
        f"{first.model} ({first.trace_kind}: {marked}; {', '.join(first.techniques) or 'dense'})",
        "simulated, not measured",
        "",
        f"{'machine':<20}{'seconds':>11}{'joules':>11}{'watts':>8}{'mm2':>8}{'busy':>7}"
        + (f"{'speed-up':>10}{'energy':>9}" if baseline else ""),
    ]
    lines += [_row(report, baseline) for report in (*reports, *([baseline] if baseline else ()))]
    for report in reports:
        lines += ["", f"{report.accelerator}, cycles: {_shares(report.breakdowns['cycles'])}"]
        lines += [f"{report.accelerator}, energy: {_shares(report.breakdowns['energy_j'])}"]
        if len(report.breakdowns["area_mm2"]) > 1:
            lines += [f"{report.accelerator}, area: {_shares(report.breakdowns['area_mm2'])}"]
        low, high = report.energy_range_j
        lines += [f"{report.accelerator}, joules by the constants' ranges: {low:.4g} to {high:.4g}"]
        lines += [f"{report.accelerator}: {note}" for note in report.notes]
    return "\n".join(lines)


def _row(report: CycleReport, baseline: CycleReport | None) -> str:
    busy = f"{report.utilisation:7.1%}" if report.utilisation else f"{'-':>7}"
    text = (
        f"{report.accelerator:<20}{report.seconds:>11.4g}{report.energy_j:>11.4g}"
        f"{report.mean_power_w:>8.1f}{report.area_mm2:>8.1f}{busy}"
    )
    if baseline is None:
        return text
    speedup, energy = baseline.seconds / report.seconds, report.energy_j / baseline.energy_j
    return f"{text}{speedup:>9.2f}x{energy:>9.1%}"


def _shares(parts: dict[str, float]) -> str:
    total = sum(parts.values())
    shown = sorted(parts.items(), key=lambda item: -item[1])
    named = [f"{name} {value / total:.1%}" for name, value in shown if value / total > _LEAST_SHARE]
    return ", ".join(named)
