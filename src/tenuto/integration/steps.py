"""Which step, and which guidance branch of it, a call of the transformer belongs to.

Pipelines tell transformers little: some set a cache context, most do not. What every denoising loop
has is a scheduler that gets new timesteps for each run, and timesteps that fall.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a call of the transformer stands in the denoising loop.

    Attributes:
        step_index: Position of the step in this run, from 0.
        branch: Calls of the same step before this one; guidance branches when they are split.
        num_steps: Steps of the run; None when there is no scheduler to ask.
        is_new_run: This call begins a run; whatever is remembered belongs to another one.
    """

    step_index: int
    branch: int
    num_steps: int | None
    is_new_run: bool

    @property
    def is_last(self) -> bool:
        """The run is known to end with this step."""
        return self.num_steps is not None and self.step_index + 1 == self.num_steps


class StepTracker:
    """Follow the calls of one transformer.

    A new run begins when the scheduler got new timesteps, when the timestep rises, when the inputs
    change their shapes, or when the call before did not come to its end.
    """

    def __init__(self, scheduler: Callable[[], Any | None]) -> None:
        """Take a function that returns the pipeline's present scheduler, or None."""
        self._scheduler = scheduler
        self.forget()

    def forget(self) -> None:
        """Take the next call for the first of a run."""
        self._timesteps: Tensor | None = None
        self._shapes: object = None
        self._place: tuple[float, int | None] | None = None
        self._step_index = -1
        self._branch = 0
        self._is_inside = False

    def enter(self, timestep: float, shapes: object) -> Moment:
        """Note a call that begins.

        Args:
            timestep: The scheduler's noise value; any unit, falling over a run.
            shapes: Anything that equals itself as long as batch and resolution stay.
        """
        scheduler = self._scheduler()
        timesteps = getattr(scheduler, "timesteps", None)
        is_new_run = (
            self._is_inside
            or self._place is None
            or shapes != self._shapes
            or timesteps is not self._timesteps
            or timestep > self._place[0]
        )
        place = (timestep, getattr(scheduler, "step_index", None))
        if is_new_run:
            self._step_index, self._branch = 0, 0
        elif place == self._place:
            self._branch += 1
        else:
            self._step_index, self._branch = self._step_index + 1, 0
        self._timesteps, self._shapes, self._place = timesteps, shapes, place
        self._is_inside = True
        num_steps = None if timesteps is None else len(timesteps)
        return Moment(self._step_index, self._branch, num_steps, is_new_run)

    def leave(self) -> None:
        """Note that the call came to its end."""
        self._is_inside = False


def noise_level(timestep: Tensor | float) -> float:
    """Return the timestep; of tokens with their own, those that are given clean have less."""
    return float(timestep.max()) if isinstance(timestep, Tensor) else float(timestep)
