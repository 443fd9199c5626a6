"""One tiny model of each supported family, with random weights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import (
    CogVideoXTransformer3DModel,
    DiTTransformer2DModel,
    FluxTransformer2DModel,
    HunyuanVideoTransformer3DModel,
    LTXVideoTransformer3DModel,
    MochiTransformer3DModel,
    PixArtTransformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
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
        num_tokens: Image tokens of that shape; of the first block where blocks have their own.
        width: Channels of a token.
        own_tokens: Image tokens of each block, where blocks have their own.
    """

    model: nn.Module
    blocks: list[nn.Module]
    attention: str
    inputs: Callable[[Tensor, float, int], dict[str, Any]]
    latents: tuple[int, ...]
    num_tokens: int
    width: int
    own_tokens: tuple[int, ...] = field(default=())

    def tokens_of(self, block_index: int) -> int:
        """Image tokens of a block."""
        return self.own_tokens[block_index] if self.own_tokens else self.num_tokens

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


def _mask(latents: Tensor, text: int) -> Tensor:
    """Valid text tokens: fewer of one text, and fewer of every second sample."""
    mask = torch.ones(len(latents), NUM_TEXT)
    mask[:, 3 + text :] = 0
    mask[1::2, 2:] = 0
    return mask


def _cogvideox(num_blocks: int) -> Tiny:
    model = CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4,
        time_embed_dim=8, text_embed_dim=16, num_layers=num_blocks, sample_width=8,
        sample_height=8, sample_frames=5, patch_size=2, temporal_compression_ratio=4,
        max_text_seq_length=NUM_TEXT, use_rotary_positional_embeddings=True,
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        _, frames, _, rows, columns = latents.shape
        num_tokens = frames * (rows // 2) * (columns // 2)
        angles = torch.arange(num_tokens)[:, None] * torch.logspace(0, -2, 6)[None]
        angles = angles.repeat_interleave(2, dim=1)
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep),
            "encoder_hidden_states": _text(latents, text, 16),
            "image_rotary_emb": (angles.cos(), angles.sin()),
        }

    blocks = list(model.transformer_blocks)
    return Tiny(model, blocks, "attn1", inputs, (2, 4, 8, 8), 32, 24)


def _hunyuan(num_blocks: int, image_condition_type: str | None = None) -> Tiny:
    """Two kinds of blocks: `num_blocks` are spread over both, double ones first."""
    num_double = num_blocks // 2
    model = HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=12,
        num_layers=num_double, num_single_layers=num_blocks - num_double, num_refiner_layers=1,
        mlp_ratio=2.0, patch_size=2, patch_size_t=1, guidance_embeds=False, text_embed_dim=16,
        pooled_projection_dim=8, rope_axes_dim=(4, 4, 4),
        image_condition_type=image_condition_type,
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep),
            "encoder_hidden_states": _text(latents, text, 16),
            "encoder_attention_mask": _mask(latents, text),
            "pooled_projections": _text(latents, text, 8)[:, 0],
        }

    blocks = [*model.transformer_blocks, *model.single_transformer_blocks]
    return Tiny(model, blocks, "attn", inputs, (4, 2, 8, 8), 32, 24)


def _ltx(num_blocks: int) -> Tiny:
    model = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=12,
        cross_attention_dim=24, num_layers=num_blocks, caption_channels=16,
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep),
            "encoder_hidden_states": _text(latents, text, 16),
            "encoder_attention_mask": _mask(latents, text),
            "num_frames": 2,
            "height": 4,
            "width": latents.shape[1] // 8,
        }

    return Tiny(model, list(model.transformer_blocks), "attn1", inputs, (32, 8), 32, 24)


def _mochi(num_blocks: int) -> Tiny:
    model = MochiTransformer3DModel(
        patch_size=2, num_attention_heads=2, attention_head_dim=12, num_layers=num_blocks,
        pooled_projection_dim=16, in_channels=4, text_embed_dim=16, time_embed_dim=8,
        max_sequence_length=NUM_TEXT,
    )  # fmt: skip
    # The positions of an untrained model are all zero: no permutation would be noticed.
    nn.init.normal_(model.pos_frequencies)

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep),
            "encoder_hidden_states": _text(latents, text, 16),
            "encoder_attention_mask": _mask(latents, text).bool(),
        }

    return Tiny(model, list(model.transformer_blocks), "attn1", inputs, (4, 2, 8, 8), 32, 24)


def _qwen(num_blocks: int) -> Tiny:
    model = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=num_blocks,
        attention_head_dim=12, num_attention_heads=2, joint_attention_dim=16,
        axes_dims_rope=(4, 4, 4),
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        side = int(latents.shape[1] ** 0.5)
        return {
            "hidden_states": latents,
            "timestep": _times(latents, timestep / 1000),
            "encoder_hidden_states": _text(latents, text, 16),
            "encoder_hidden_states_mask": _mask(latents, text).bool(),
            "img_shapes": [[(1, side, side)]] * len(latents),
        }

    return Tiny(model, list(model.transformer_blocks), "attn", inputs, (36, 16), 36, 24)


def _unet(num_blocks: int) -> Tiny:
    """Three blocks at two resolutions: two on the way down, one in the middle."""
    assert num_blocks == 3
    model = UNet2DConditionModel(
        sample_size=12, in_channels=4, out_channels=4, block_out_channels=(16, 32),
        layers_per_block=1, norm_num_groups=4, cross_attention_dim=16, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip

    def inputs(latents: Tensor, timestep: float, text: int) -> dict[str, Any]:
        return {
            "sample": latents,
            "timestep": timestep,
            "encoder_hidden_states": _text(latents, text, 16),
        }

    blocks = [
        *(down.attentions[0].transformer_blocks[0] for down in model.down_blocks),
        model.mid_block.attentions[0].transformer_blocks[0],
    ]
    return Tiny(model, blocks, "attn1", inputs, (4, 12, 12), 144, 16, own_tokens=(144, 36, 36))


_MAKERS = {
    "cogvideox": _cogvideox, "dit": _dit, "flux": _flux, "hunyuan": _hunyuan, "ltx": _ltx,
    "mochi": _mochi, "pixart": _pixart, "qwen": _qwen, "sd3": _sd3, "unet": _unet, "wan": _wan,
}  # fmt: skip
NAMES = tuple(_MAKERS)


def make(name: str, num_blocks: int = 3, **options: Any) -> Tiny:
    """Make a tiny model by its family's name, always with the same weights."""
    torch.manual_seed(0)
    tiny = _MAKERS[name](num_blocks, **options)
    for parameter in tiny.model.parameters():
        if parameter.ndim >= 2:
            nn.init.normal_(parameter, std=0.08)
    tiny.model.eval()
    return tiny


def batched(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Arguments of two calls in one batch."""
    return {name: _joined(first[name], second[name]) for name in first}


def _joined(a: Any, b: Any) -> Any:
    if isinstance(a, list):
        return a + b
    is_shared = not isinstance(a, Tensor) or (a.ndim == 2 and a.shape[-1] == 3)  # position ids
    return a if is_shared else torch.cat([a, b])
