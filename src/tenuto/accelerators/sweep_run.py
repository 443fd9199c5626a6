"""Runs the points of a sweep: on processes of this machine, or on a Ray cluster that is given.

Traces are made before the processes fork, so all share one copy; on Ray they lie in its object
store.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tenuto.accelerators import simulate
from tenuto.accelerators.sweep import Point, trace_of
from tenuto.accelerators.sweep_ray import Run, ray_runner
from tenuto.accelerators.sweep_results import Results
from tenuto.traces.schema import Trace

Step = Callable[[str], None]
_TRACES: dict[tuple[str, str], Trace] = {}
"""Made by the parent for one batch; forked workers see the same memory."""


def run_sweep(
    points: Iterable[Point],
    results: Results,
    *,
    num_workers: int | None = None,
    ray_address: str | None = None,
    step: Step = lambda _: None,
) -> None:
    """Simulate the points that `results` lacks, and append each as soon as it is done.

    Args:
        points: All points of the sweep; those of one trace stand together.
        results: Grows; what it holds is not run again.
        num_workers: Processes; as many as cores unless given.
        ray_address: Of a running cluster; None: processes of this machine.
        step: Called with the name of each finished point.

    Raises:
        HardwareError: The disk is full, or the cluster does not answer or breaks off.
        MissingExtraError: An address is given and ray is not installed.
    """
    open_points = [point for point in points if point.key not in results.rows]
    with _runner(num_workers, ray_address) as run:
        for batch in _by_trace(open_points):
            for row in run(batch):
                results.append(row)
                step(f"{row['trace']} on {row['accelerator']}")


def _runner(num_workers: int | None, ray_address: str | None) -> AbstractContextManager[Run]:
    if ray_address is not None:
        return ray_runner(ray_address, _result)
    workers = num_workers or len(os.sched_getaffinity(0))
    return nullcontext(lambda batch: _on_processes(batch, workers))


def _by_trace(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Yield the points of one trace after another: one trace is in memory at a time."""
    names = dict.fromkeys((point.trace, point.recipe) for point in points)
    for name in names:
        yield [point for point in points if (point.trace, point.recipe) == name]


def _result(point: Point, trace: Trace) -> dict[str, Any]:
    report = simulate(trace, point.chip()).to_dict()
    return {
        "key": point.key,
        "trace": f"{point.trace} {point.recipe}",
        "accelerator": point.accelerator,
        "changes": dict(point.changes),
        **{name: report[name] for name in ("seconds", "energy_j", "area_mm2", "mean_power_w",
                                           "utilisation", "macs", "dram_bytes", "trace_kind",
                                           "simulated")},
        "cycles": report["breakdowns"]["cycles"],
    }  # fmt: skip


def _in_worker(point: Point) -> dict[str, Any]:
    return _result(point, _TRACES[point.trace, point.recipe])


def _on_processes(batch: Sequence[Point], num_workers: int) -> Iterator[dict[str, Any]]:
    _TRACES.clear()
    _TRACES[batch[0].trace, batch[0].recipe] = trace_of(batch[0])
    if num_workers == 1 or len(batch) == 1:
        yield from map(_in_worker, batch)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(num_workers, len(batch)), mp_context=context) as pool:
        for future in as_completed([pool.submit(_in_worker, point) for point in batch]):
            yield future.result()
