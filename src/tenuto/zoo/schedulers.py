"""Schedulers for models that predict the clean sample of a rectified flow.

`FlowMatchEulerDiscreteScheduler` takes the prediction for a velocity and cannot be used. The DPM
and UniPC solvers take ``prediction_type="sample"``; at order 1 their update is Euler's,
``x' = (s'/s) x + (1 - s'/s) x0``. They hand the model whole-numbered timesteps, floor(1000 s).
"""

from typing import Any

from diffusers import DPMSolverMultistepScheduler, SchedulerMixin, UniPCMultistepScheduler

_FLOW = {"prediction_type": "sample", "use_flow_sigmas": True, "flow_shift": 2.0}
_SCHEDULERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "dpm2m": (DPMSolverMultistepScheduler, {**_FLOW, "solver_order": 2}),
    "euler": (DPMSolverMultistepScheduler, {**_FLOW, "solver_order": 1}),
    "unipc": (UniPCMultistepScheduler, {**_FLOW, "solver_order": 2}),
}


def scheduler(name: str) -> SchedulerMixin:
    """Make a scheduler for the embedded models, to be put at ``pipe.scheduler``.

    Args:
        name: "unipc" (second order, the pipelines' own), "dpm2m" (second order) or "euler" (first).

    Raises:
        ValueError: There is no scheduler of this name.
    """
    if name not in _SCHEDULERS:
        raise ValueError(f"`name` must be one of {sorted(_SCHEDULERS)}, got {name!r}")
    scheduler_class, settings = _SCHEDULERS[name]
    return scheduler_class(**settings)
