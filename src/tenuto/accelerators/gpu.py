"""GPUs beside the accelerators: roofline with published-style efficiencies and launch overhead.

A GPU runs the dense model: the techniques here are not kernels of anybody's library. Time of an
operation is the longer of arithmetic and memory at their efficiencies, plus its kernels' launches.
"""

import numpy as np
from numpy.typing import NDArray

from tenuto.accelerators.report import CycleReport
from tenuto.accelerators.work import LINEAR
from tenuto.hardware_gpu import Curve, Gpu
from tenuto.traces.schema import ATTENTION_CORES, OVERHEADS, Operations, Part, Trace

Floats = NDArray[np.float64]
_TILE = 128
"""Side of an output tile of a library's matrix product; whole tiles go to multiprocessors."""
_KERNELS = {
    Part.QUERY: 2, Part.KEY_VALUE: 4, Part.SCORES: 1, Part.VALUES: 0, Part.PROJECTION: 5,
    Part.CROSS_LINEAR: 3, Part.CROSS_SCORES: 1, Part.CROSS_VALUES: 0, Part.FFN_UP: 5,
    Part.FFN_DOWN: 3, Part.TEXT_LINEAR: 4, Part.RESIDUAL_BLOCK: 4,
}  # fmt: skip
"""Kernels in eager mode with fused attention: the product itself, and the norms, modulations,
biases, splits, gates and residual additions around it. Assumed by reading a diffusion
transformer's block."""


def simulate_gpu(trace: Trace, gpu: Gpu) -> CycleReport:
    """Return a GPU's time and energy for the dense run."""
    table = trace.operations
    product, moved, launches = _operation_seconds(table, gpu)
    busy = np.maximum(product, moved)
    seconds = busy + launches
    total = float(seconds.sum())
    activity = np.where(busy > 0, np.maximum(product, 0.6 * moved) / np.maximum(seconds, 1e-30), 0)
    dynamic = float(((gpu.board_w - gpu.idle_w) * activity * seconds).sum())
    energy = {"dynamic": dynamic, "idle": gpu.idle_w * total}
    names = {"compute": product >= moved, "memory": product < moved}
    causes = {name: float(busy[chosen].sum()) for name, chosen in names.items()}
    causes["launch"] = float(launches.sum())
    return CycleReport(
        accelerator=gpu.name, model=trace.manifest.model, trace_kind=trace.manifest.kind,
        techniques=trace.manifest.techniques,
        notes=("computes everything: no technique has a kernel here",)
        if trace.manifest.techniques
        else (),
        cycles=total * 1e9, seconds=total, energy_j=sum(energy.values()), area_mm2=gpu.die_mm2,
        macs=trace.dense_macs, dense_macs=trace.dense_macs,
        dram_bytes=float(_bytes(table, gpu).sum()),
        breakdowns={
            "cycles": {name: 1e9 * value for name, value in causes.items()},
            "energy_j": energy,
            "area_mm2": {"die": gpu.die_mm2},
            "seconds_by_part": {
                part.name.lower(): float(seconds[table.part == part].sum())
                for part in Part
                if part not in OVERHEADS and np.any(table.part == part)
            },
        },
        energy_range_j=(gpu.idle_w * total, gpu.board_w * total), sources=trace.manifest.sources,
    )  # fmt: skip


def _operation_seconds(table: Operations, gpu: Gpu) -> tuple[Floats, Floats, Floats]:
    """Seconds of arithmetic, of memory and of launches, operation by operation."""
    is_linear = np.isin(table.part, LINEAR)
    # A fused attention does the scores and the weighted values of its heads: twice the products.
    fused = table.dense_macs * np.where(np.isin(table.part, ATTENTION_CORES), 2.0, 1.0)
    peak = np.where(
        is_linear,
        _linear_efficiency(table, gpu),
        _efficiency(gpu.attention, gpu.attention_efficiency, fused),
    )
    product = table.dense_macs / (gpu.macs_per_s * np.maximum(peak, 1e-6))
    is_real = ~np.isin(table.part, OVERHEADS)
    num_bytes = np.where(is_real, _bytes(table, gpu), 0.0)
    moved = num_bytes / gpu.bytes_per_s
    moved /= _efficiency(gpu.elementwise, gpu.memory_efficiency, num_bytes)
    kernels = np.zeros(len(table))
    for part, number in _KERNELS.items():
        kernels[table.part == part] = number
    return product, moved, kernels * gpu.launch_s


def _linear_efficiency(table: Operations, gpu: Gpu) -> Floats:
    """Share of the peak that each matrix product reaches, whole waves of tiles counted."""
    if gpu.matmul is not None:
        return _efficiency(gpu.matmul, 1.0, table.dense_macs)
    if gpu.compute_efficiency == 1:
        return np.ones(len(table))
    rows, columns = table.rows.astype(np.float64), table.columns.astype(np.float64)
    waves = np.ceil(rows / _TILE) * np.ceil(columns / _TILE) * table.count / gpu.num_sms
    filled = rows * columns * table.count / (_TILE**2 * gpu.num_sms)
    return gpu.compute_efficiency * filled / np.maximum(np.ceil(waves), 1.0)


def _efficiency(curve: Curve | None, constant: float, work: Floats) -> Floats:
    if curve is None:
        return np.full(len(work), constant)
    return np.interp(np.log(np.maximum(work, 1.0)), np.log(curve.work), curve.efficiency)


def _bytes(table: Operations, gpu: Gpu) -> Floats:
    """Factors and result of a linear layer, five passes of elementwise work; attention is fused."""
    rows, inner, columns = (
        getattr(table, name).astype(np.float64) for name in ("rows", "inner", "columns")
    )
    linear = rows * inner + inner * columns + 5 * rows * columns
    scores = (rows + columns) * inner * table.count
    values = (rows + inner) * columns * table.count
    moved = np.where(np.isin(table.part, LINEAR), linear, 0.0)
    moved += np.where(np.isin(table.part, (Part.SCORES, Part.CROSS_SCORES)), scores, 0.0)
    moved += np.where(np.isin(table.part, (Part.VALUES, Part.CROSS_VALUES)), values, 0.0)
    return moved * gpu.element_bytes
