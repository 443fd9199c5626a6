"""The verification ladder: golden values, exact cycle counts, then signals, on the same cases."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from amaranth.lib import wiring

from tenuto.errors import TenutoError
from tenuto.rtl.bench import NO_STALLS, Stalls, StreamRun, run_simulated
from tenuto.rtl.packing import Words
from tenuto.rtl.verilated import run_verilated

Runner = Callable[..., StreamRun]
_MOST_SLOWED = 8
_SPARE_CYCLES = 500
"""A unit that loses something would wait for ever: no run is longer than this."""

SIMULATORS: dict[str, Runner] = {"amaranth": run_simulated, "verilator": run_verilated}


class MismatchError(TenutoError):
    """A unit's outputs or cycles differ from those of the level above."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Inputs of a unit, and what the levels above say about them.

    Attributes:
        unit: Makes the component.
        inputs: (transfers, words) payloads.
        outputs: (transfers, words) payloads that the golden function gives.
        vectors: What these are in the unit's own measure, as its `case_from` says: operand beats,
            scores, columns, products, values, similarities, gains, losses or addresses.
        cycles: Cycles without stalls, as `tenuto.hardware_timing` gives them.
    """

    unit: Callable[[], wiring.Component]
    inputs: Words
    outputs: Words
    vectors: int
    cycles: int


def check(case: Case, simulator: str = "amaranth", stalls: Stalls = NO_STALLS) -> StreamRun:
    """Run a case and compare it with the levels above.

    Args:
        case: The inputs and the expectations.
        simulator: A key of `SIMULATORS`.
        stalls: Pauses; only without any are the cycles compared.

    Raises:
        MismatchError: An output or the number of cycles is not the expected one, or an input was
            not accepted.
        ToolError: Verilator or the compiler is missing.
    """
    unit = case.unit()
    name = type(unit).__name__
    longest = _MOST_SLOWED * case.cycles + _SPARE_CYCLES
    run = SIMULATORS[simulator](unit, case.inputs, len(case.outputs), stalls, max_cycles=longest)
    if len(run.input_cycles) != len(case.inputs):
        raise MismatchError(f"{name} accepted {len(run.input_cycles)} of {len(case.inputs)} inputs")
    if len(run.outputs) != len(case.outputs):
        raise MismatchError(
            f"{name} made {len(run.outputs)} outputs, the golden function {len(case.outputs)}"
        )
    differs = np.flatnonzero((run.outputs != case.outputs).any(axis=1))
    if len(differs):
        raise MismatchError(
            f"{name}: {len(differs)} of {len(case.outputs)} outputs differ, first {differs[0]}: "
            f"{run.outputs[differs[0]].tolist()}, golden {case.outputs[differs[0]].tolist()}"
        )
    if stalls is NO_STALLS and run.cycles != case.cycles:
        raise MismatchError(f"{name} took {run.cycles} cycles, the formula says {case.cycles}")
    return run
