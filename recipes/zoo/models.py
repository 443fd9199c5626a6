"""The two networks, untrained: stock diffusers classes, their sizes, and how they start."""

import torch
from diffusers import SD3Transformer2DModel, WanTransformer3DModel
from torch import Tensor, nn

from tenuto.zoo.words import NULL_WORD, PAD_WORD, WORDS

TEXT_DIM = 128
VIDEO_WORDS, IMAGE_WORDS = 8, 10  # tokens a caption is padded to
VIDEO_CONFIG = {
    "patch_size": (2, 8, 8),
    "num_attention_heads": 4,
    "attention_head_dim": 48,
    "in_channels": 3,
    "out_channels": 3,
    "text_dim": TEXT_DIM,
    "freq_dim": 128,
    "ffn_dim": 768,
    "num_layers": 8,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
    "rope_max_seq_len": 64,
}
IMAGE_CONFIG = {
    "sample_size": 64,
    "patch_size": 4,
    "in_channels": 3,
    "out_channels": 3,
    "num_layers": 8,
    "attention_head_dim": 48,
    "num_attention_heads": 4,
    "joint_attention_dim": TEXT_DIM,
    "caption_projection_dim": 192,
    "pooled_projection_dim": TEXT_DIM,
    "pos_embed_max_size": 32,
    "qk_norm": "rms_norm",
}
FIRST_GATE = 0.2  # adaLN gates start small, not zero: every block learns from the first step


class CaptionedModel(nn.Module):
    """A transformer and the word table that feeds it, trained together."""

    def __init__(self, transformer: nn.Module):
        super().__init__()
        self.transformer = transformer
        self.words = nn.Embedding(len(WORDS), TEXT_DIM)
        nn.init.normal_(self.words.weight, std=0.5)


def token_ids(captions: list[str], length: int) -> Tensor:
    """Give ``(captions, length)`` rows of `WORDS`; an empty caption is all null words."""
    rows = []
    for caption in captions:
        words = caption.split()[:length] if caption else [NULL_WORD] * length
        rows.append([WORDS.index(word) for word in words + [PAD_WORD] * (length - len(words))])
    return torch.tensor(rows)


def build_video(config: dict, seed: int) -> CaptionedModel:
    """Build the untrained video model, the same for the same seed."""
    torch.manual_seed(seed)
    transformer = WanTransformer3DModel(**config)
    _start_linears(transformer, leave=("scale_shift", "patch_embedding"))
    fan_in = config["in_channels"] * torch.tensor(config["patch_size"]).prod().item()
    nn.init.normal_(transformer.patch_embedding.weight, std=fan_in**-0.5)
    nn.init.zeros_(transformer.condition_embedder.time_proj.weight)
    for block in transformer.blocks:
        nn.init.zeros_(block.scale_shift_table)
        block.scale_shift_table.data[:, (2, 5)] = FIRST_GATE  # gates of attention and FFN
        nn.init.zeros_(block.attn2.to_out[0].weight)
    nn.init.zeros_(transformer.proj_out.weight)
    return CaptionedModel(transformer)


def build_image(config: dict, seed: int) -> CaptionedModel:
    """Build the untrained image model, the same for the same seed."""
    torch.manual_seed(seed)
    transformer = SD3Transformer2DModel(**config)
    _start_linears(transformer, leave=("pos_embed",))
    width = config["num_attention_heads"] * config["attention_head_dim"]
    for block in transformer.transformer_blocks:
        for norm in (block.norm1, block.norm1_context):
            nn.init.zeros_(norm.linear.weight)
            if norm.linear.bias.numel() == 6 * width:  # the last block's context has no gates
                gates = norm.linear.bias.data.view(6, width)
                gates[[2, 5]] = FIRST_GATE
    nn.init.zeros_(transformer.norm_out.linear.weight)
    nn.init.zeros_(transformer.proj_out.weight)
    return CaptionedModel(transformer)


def predict_video(model: CaptionedModel, ids: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
    """Predict the clean clip from ``noisy = (1 - sigma) clean + sigma noise``."""
    return model.transformer(
        hidden_states=noisy,
        timestep=sigma * 1000,
        encoder_hidden_states=model.words(ids),
        return_dict=False,
    )[0]


def predict_image(model: CaptionedModel, ids: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
    """Predict the clean picture from ``noisy = (1 - sigma) clean + sigma noise``."""
    words = model.words(ids)
    return model.transformer(
        hidden_states=noisy,
        timestep=sigma * 1000,
        encoder_hidden_states=words,
        pooled_projections=words.mean(1),
        return_dict=False,
    )[0]


def _start_linears(transformer: nn.Module, leave: tuple[str, ...]) -> None:
    for name, param in transformer.named_parameters():
        if param.ndim >= 2 and not any(part in name for part in leave):
            nn.init.xavier_uniform_(param.view(param.shape[0], -1))
        elif name.endswith(".bias"):
            nn.init.zeros_(param)
