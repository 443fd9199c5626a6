"""One tiny model of each supported family, with random weights, and the loop that denoises it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from diffusers import (
    DiTTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    FluxTransformer2DModel,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    WanTransformer3DModel,
)
from torch import Tensor, nn

NUM_TEXT = 5


@dataclass
class Tiny:
    """A model, what it is called with, and what is needed to look inside it.

    Attributes:
        model: The transformer, in eval mode.
        blocks: All its blocks in the order in which they run.
        attention: Name of the self- or joint attention in each block.
        inputs: (latents, timestep, text seed) -> arguments of a call.
        latents: Shape of one sample's latents.
        num_tokens: Image tokens of that shape.
        width: Channels of a token.
    """

    model: nn.Module
    blocks: list[nn.Module]
    attention: str
    inputs: Callable[[Tensor, float, int], dict[str, Any]]
    latents: tuple[int, ...]
    num_tokens: int
    width: int

    def noise(
        self, batch: int = 1, seed: int = 0, latents: tuple[int, ...] | None = None
    ) -> Tensor:
        """Each sample's own noise, whatever the batch."""
        generator = torch.Generator().manual_seed(seed)
        shape = latents or self.latents
        return torch.stack([torch.randn(shape, generator=generator) for _ in range(batch)])

    def __call__(self, timestep: float, batch: int = 1, seed: int = 0) -> Tensor:
        """One call whose latents depend on the timestep, as a loop's would."""
        latents = self.noise(batch, seed) + 0.3 * self.noise(batch, int(timestep))
        return self.model(**self.inputs(latents, timestep, 1))[0]


@dataclass
class Loop:
    """The smallest pipeline: a transformer, a scheduler, guidance batched, split or none."""

    tiny: Tiny
    scheduler: Any = field(default_factory=FlowMatchEulerDiscreteScheduler)

    def __post_init__(self) -> None:
        self.transformer = self.tiny.model

    def __call__(
        self,
        num_steps: int = 6,
        *,
        batch: int = 1,
        seed: int = 0,
        guidance: str = "batched",
        latents: tuple[int, ...] | None = None,
    ) -> Tensor:
        sample = self.tiny.noise(batch, seed, latents)
        self.scheduler.set_timesteps(num_steps)
        for timestep in self.scheduler.timesteps:
            velocity = self._velocity(sample, float(timestep), guidance)
            sample = self.scheduler.step(velocity, timestep, sample).prev_sample
        return sample

    def _velocity(self, sample: Tensor, timestep: float, guidance: str) -> Tensor:
        call, inputs = self.tiny.model, self.tiny.inputs
        if guidance == "none":
            return call(**inputs(sample, timestep, 1))[0][:, : sample.shape[1]]
        parts = [inputs(sample, timestep, text) for text in (0, 1)]
        if guidance == "split":
            without, with_text = (call(**part)[0] for part in parts)
        else:
            both = {name: _joined(parts[0][name], parts[1][name]) for name in parts[0]}
            without, with_text = call(**both)[0].chunk(2)
        return (without + 2 * (with_text - without))[:, : sample.shape[1]]


def _joined(a: Any, b: Any) -> Any:
    is_shared = not isinstance(a, Tensor) or (a.ndim == 2 and a.shape[-1] == 3)  # position ids
    return a if is_shared else torch.cat([a, b])


def _text(latents: Tensor, seed: int, channels: int) -> Tensor:
    """The same text for every sample."""
    generator = torch.Generator().manual_seed(seed + 100)
    return torch.randn(1, NUM_TEXT, channels, generator=generator).repeat(len(latents), 1, 1)


def _times(latents: Tensor, timestep: float) -> Tensor:
    return torch.full((len(latents),), timestep)


def _wan(num_blocks: int) -> Tiny:
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=4,
        out_channels=4, text_dim=16, freq_dim=32, ffn_dim=48, num_layers=num_blocks,
        cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep),
            "encoder_hidden_states": _text(latents, text, 16),
        }

    return Tiny(model, list(model.blocks), "attn1", inputs, (4, 2, 8, 8), 32, 24)


def _sd3(num_blocks: int) -> Tiny:
    model = SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=4, num_layers=num_blocks, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=32, caption_projection_dim=32,
        pooled_projection_dim=64, out_channels=4, qk_norm="rms_norm",
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep),
            "encoder_hidden_states": _text(latents, text, 32),
            "pooled_projections": _text(latents, text, 64)[:, 0],
        }

    return Tiny(model, list(model.transformer_blocks), "attn", inputs, (4, 12, 12), 36, 32)


def _dit(num_blocks: int) -> Tiny:
    model = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=8,
        num_layers=num_blocks, sample_size=12, patch_size=2, norm_type="ada_norm_zero",
        num_embeds_ada_norm=10, activation_fn="gelu-approximate", attention_bias=True,
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep),
            "class_labels": torch.full((len(latents),), 1 + text),
        }

    return Tiny(model, list(model.transformer_blocks), "attn1", inputs, (4, 12, 12), 36, 32)


def _pixart(num_blocks: int) -> Tiny:
    model = PixArtTransformer2DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=8,
        num_layers=num_blocks, sample_size=12, patch_size=2, cross_attention_dim=32,
        caption_channels=24, attention_bias=True, use_additional_conditions=False,
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        mask = torch.ones(len(latents), NUM_TEXT)
        mask[:, 3 + text :] = 0
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep),
            "encoder_hidden_states": _text(latents, text, 24),
            "encoder_attention_mask": mask,
            "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
        }

    return Tiny(model, list(model.transformer_blocks), "attn1", inputs, (4, 12, 12), 36, 32)


def _flux(num_blocks: int) -> Tiny:
    """Two kinds of blocks: `num_blocks` are spread over both, double ones first."""
    num_double = num_blocks // 2
    model = FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=num_double,
        num_single_layers=num_blocks - num_double, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
        guidance_embeds=False,
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        side = int(latents.shape[1] ** 0.5)
        ids = torch.zeros(side, side, 3)
        ids[..., 1] += torch.arange(side)[:, None]
        ids[..., 2] += torch.arange(side)[None]
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep / 1000),
            "encoder_hidden_states": _text(latents, text, 32),
            "pooled_projections": _text(latents, text, 32)[:, 0],
            "img_ids": ids.reshape(-1, 3),
            "txt_ids": torch.zeros(NUM_TEXT, 3),
        }

    blocks = [*model.transformer_blocks, *model.single_transformer_blocks]
    return Tiny(model, blocks, "attn", inputs, (36, 4), 36, 32)


_MAKERS = {"wan": _wan, "sd3": _sd3, "dit": _dit, "pixart": _pixart, "flux": _flux}


@pytest.fixture(params=sorted(_MAKERS))
def family(request: pytest.FixtureRequest) -> str:
    """Each supported family once."""
    return request.param


@pytest.fixture
def make_tiny() -> Callable[..., Tiny]:
    """Make a tiny model by its family's name, always with the same weights."""

    def make(name: str, num_blocks: int = 3) -> Tiny:
        torch.manual_seed(0)
        tiny = _MAKERS[name](num_blocks)
        for parameter in tiny.model.parameters():
            if parameter.ndim >= 2:
                nn.init.normal_(parameter, std=0.08)
        tiny.model.eval()
        return tiny

    return make


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
