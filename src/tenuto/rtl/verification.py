"""Run the units' cases without and with stalls, and say what agreed.

Cycles a second are of processor time and of the simulation alone: neither other programs nor
making and building the unit count.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tenuto.rtl.bench import random_stalls, run_simulated
from tenuto.rtl.cases import ALL
from tenuto.rtl.ladder import check
from tenuto.rtl.replay import recorded_cases

_STALL_SEED = 2026


def verified_small(name: str, seed: int, vcd: Path | None = None) -> str:
    """Run a unit's small case in Amaranth's simulator.

    Args:
        name: Key of `tenuto.rtl.cases.ALL`.
        seed: Of the case.
        vcd: Folder for the waveforms of the run without stalls.

    Returns:
        A line that says what agreed.

    Raises:
        MismatchError: Something did not.
    """
    if vcd is not None:
        case = ALL[name].small(np.random.default_rng(seed))
        vcd.mkdir(parents=True, exist_ok=True)
        run_simulated(case.unit(), case.inputs, len(case.outputs), vcd=vcd / f"{name}.vcd")
    return _verified(name, seed, "amaranth")


def verified_large(names: Sequence[str], seed: int) -> Iterator[str]:
    """Run units' large cases in compiled C++, as many processes as there are processors.

    A process makes a unit's case, builds the unit and runs it. Yields what `verified_small`
    returns, in the order of `names`.

    Raises:
        MismatchError: Something did not agree.
        ToolError: Verilator or the compiler is missing.
    """
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(_verified, seed=seed, simulator="verilator"), names)


def _verified(name: str, seed: int, simulator: str) -> str:
    cases = ALL[name]
    make = cases.large if simulator == "verilator" else cases.small
    case = make(np.random.default_rng(seed))
    run = check(case, simulator)
    stalled = check(case, simulator, random_stalls(_STALL_SEED))
    return (
        f"{name:16} {case.vectors:9,} vectors, golden to the bit; {run.cycles:9,} cycles as the "
        f"formula says, {stalled.cycles:9,} with stalls; {run.cycles / run.seconds:9,.0f} cycles/s"
    )


def replayed(folder: Path) -> Iterator[str]:
    """Run the samples of a trace in compiled C++; yield a line for each.

    Raises:
        MismatchError: Outputs or cycles are not the expected ones.
        TraceFormatError: The trace keeps no samples.
        ToolError: Verilator or the compiler is missing.
    """
    for name, case in recorded_cases(folder):
        run = check(case, "verilator")
        yield (
            f"{name:12} {len(case.inputs):9,} in, {len(case.outputs):9,} out, golden to the bit; "
            f"{run.cycles:9,} cycles as the formula says; {run.cycles / run.seconds:,.0f} cycles/s"
        )
