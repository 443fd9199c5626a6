"""A trained transformer and its word table, put together as a stock pipeline and kept small."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DiffusionPipeline,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from safetensors.torch import save_file
from torch import Tensor, nn

from tenuto.zoo.pixels import PixelAutoencoder
from tenuto.zoo.schedulers import scheduler
from tenuto.zoo.split_encoders import split_encoders_from_table
from tenuto.zoo.text_encoder import word_encoder_from_table
from tenuto.zoo.tokenizer import WordTokenizer

VIDEO_SLOTS = 8  # words a caption is filled up to in training
IMAGE_SLOTS = 10


def assemble_video(transformer: WanTransformer3DModel, table: Tensor) -> WanPipeline:
    """Make the pipeline of a video transformer.

    Args:
        transformer: Trained on `VIDEO_SLOTS` words; predicts the clean clip.
        table: ``(words, text_dim)``, a row for each of `tenuto.zoo.words.WORDS`.
    """
    components: dict[str, Any] = {  # Any: the signature names the classes these stand in for
        "tokenizer": WordTokenizer(model_max_length=VIDEO_SLOTS),
        "text_encoder": word_encoder_from_table(table, VIDEO_SLOTS),
        "vae": PixelAutoencoder(),
        "transformer": transformer.eval(),
        "scheduler": scheduler("unipc"),
    }
    return WanPipeline(**components)


def assemble_image(transformer: SD3Transformer2DModel, table: Tensor) -> StableDiffusion3Pipeline:
    """Make the pipeline of an image transformer.

    Args:
        transformer: Trained on `IMAGE_SLOTS` words and their mean; predicts the clean image.
        table: ``(words, joint_attention_dim)``, a row for each of `tenuto.zoo.words.WORDS`.
    """
    components: dict[str, Any] = {
        "vae": PixelAutoencoder(),
        "transformer": transformer.eval(),
        "scheduler": scheduler("unipc"),
    }
    encoders = split_encoders_from_table(table, IMAGE_SLOTS)
    for suffix, encoder in zip(("", "_2", "_3"), encoders, strict=True):
        components[f"text_encoder{suffix}"] = encoder
        components[f"tokenizer{suffix}"] = WordTokenizer(model_max_length=IMAGE_SLOTS)
    return StableDiffusion3Pipeline(**components)


def save_half(pipe: DiffusionPipeline, folder: Path) -> None:
    """Save `pipe` in diffusers' folder format, its parameters in half precision.

    Buffers, such as a table of position embeddings, keep their precision.
    """
    pipe.save_pretrained(folder)
    for part, component in pipe.components.items():
        if isinstance(component, nn.Module):
            parameters = dict(component.named_parameters())
            tensors = {
                name: tensor.to(torch.float16 if name in parameters else tensor.dtype).contiguous()
                for name, tensor in component.state_dict().items()
            }
            path = folder / part / "diffusion_pytorch_model.safetensors"
            save_file(tensors, path, metadata={"format": "pt"})
            path.chmod(0o644)  # safetensors writes files that only their owner may read
