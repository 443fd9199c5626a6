"""Tiny models by their family's name, and the loop that denoises them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from tests.integration import tiny_models
from tests.integration.tiny_models import Tiny, batched
from torch import Tensor


@dataclass
class Loop:
    """The smallest pipeline: a transformer, a scheduler, guidance batched, split or none."""

    tiny: Tiny
    scheduler: Any = field(default_factory=FlowMatchEulerDiscreteScheduler)
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self.transformer = self.tiny.model.to(self.dtype)

    def __call__(
        self,
        num_steps: int = 6,
        *,
        batch: int = 1,
        seed: int = 0,
        guidance: str = "batched",
        latents: tuple[int, ...] | None = None,
    ) -> Tensor:
        sample = self.tiny.noise(batch, seed, latents).to(self.dtype)
        self.scheduler.set_timesteps(num_steps)
        for timestep in self.scheduler.timesteps:
            velocity = self._velocity(sample, float(timestep), guidance)
            sample = self.scheduler.step(velocity, timestep, sample).prev_sample
        return sample

    def _velocity(self, sample: Tensor, timestep: float, guidance: str) -> Tensor:
        call, inputs = self.tiny.model, self._inputs
        if guidance == "none":
            return call(**inputs(sample, timestep, 1))[0][:, : sample.shape[1]]
        parts = [inputs(sample, timestep, text) for text in (0, 1)]
        if guidance == "split":
            without, with_text = (call(**part)[0] for part in parts)
        else:
            without, with_text = call(**batched(*parts))[0].chunk(2)
        return (without + 2 * (with_text - without))[:, : sample.shape[1]]

    def _inputs(self, sample: Tensor, timestep: float, text: int) -> dict[str, Any]:
        inputs = self.tiny.inputs(sample, timestep, text)
        return {
            name: value.to(self.dtype)
            if isinstance(value, Tensor) and value.dtype == torch.float32
            else value
            for name, value in inputs.items()
        }


@pytest.fixture(params=tiny_models.NAMES)
def family(request: pytest.FixtureRequest) -> str:
    """Each supported family once."""
    return request.param


@pytest.fixture
def make_tiny() -> Callable[..., Tiny]:
    """Make a tiny model by its family's name, always with the same weights."""

    return tiny_models.make


@pytest.fixture
def tiny(family: str, make_tiny: Callable[..., Tiny]) -> Tiny:
    """A model of three blocks of each family."""
    return make_tiny(family)


@pytest.fixture
def loop(tiny: Tiny) -> Loop:
    """A denoising loop around a model of each family."""
    return Loop(tiny)


@pytest.fixture
def make_loop(make_tiny: Callable[..., Tiny]) -> Callable[..., Loop]:
    """Make a denoising loop around a tiny model by its family's name."""
    return lambda name, num_blocks=3: Loop(make_tiny(name, num_blocks))


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    """Pipelines run without gradients."""
    with torch.no_grad():
        yield
