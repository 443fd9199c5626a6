"""Cycle-level models of accelerators, and GPUs beside them. Everything here is simulated.

report = simulate(tenuto.traces.open("run"), load("orbis"))
"""

from tenuto.accelerators.machines import accelerator_names, load
from tenuto.accelerators.report import CycleReport
from tenuto.hardware import Chip
from tenuto.hardware_gpu import Gpu
from tenuto.traces.schema import Trace

__all__ = ["CycleReport", "accelerator_names", "load", "simulate"]


def simulate(trace: Trace, accelerator: Chip | Gpu | str) -> CycleReport:
    """Run a trace on a machine.

    Args:
        trace: From `tenuto.traces.open` or `tenuto.traces.scaled_trace`.
        accelerator: From `load`, or its name.

    Raises:
        HardwareError: The trace lacks what the machine needs.
        ValueError: Unknown name.
    """
    machine = load(accelerator) if isinstance(accelerator, str) else accelerator
    if isinstance(machine, Gpu):
        from tenuto.accelerators.gpu import simulate_gpu

        return simulate_gpu(trace, machine)
    from tenuto.accelerators.chip import simulate_chip

    return simulate_chip(trace, machine)
