"""Pixels as latents, standing where a pipeline's variational autoencoder would."""

import torch
from diffusers import WanPipeline
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from tenuto.zoo.native_size import native_factors


class PixelAutoencoder(ModelMixin, ConfigMixin):
    """Decodes by handing its input through: the embedded models draw pixels in [-1, 1].

    The configuration has what `WanPipeline` and `StableDiffusion3Pipeline` read: height, width
    and frames of a call are those of the result, and values are neither scaled nor shifted.

    Args:
        native_size: Frames, height and width made when a video call names no size.
        scale_factor_spatial: Must be 1; `WanPipeline` divides height and width by it.
        scale_factor_temporal: Must be 1; `WanPipeline` divides the frames by it.
        z_dim: Channels.
        latents_mean: One number a channel, as `WanPipeline` undoes it.
        latents_std: Likewise.
        block_out_channels: `StableDiffusion3Pipeline` shrinks by two for each entry but one.
        scaling_factor: As `StableDiffusion3Pipeline` undoes it.
        shift_factor: Likewise.

    Raises:
        ValueError: A scale factor is not 1.
    """

    __module__ = "tenuto.zoo"  # recorded in model_index.json: importing tenuto.zoo is enough

    @register_to_config
    def __init__(  # noqa: PLR0913 - the names that the stock pipelines read
        self,
        *,
        native_size: tuple[int, int, int] = (16, 64, 64),
        scale_factor_spatial: int = 1,
        scale_factor_temporal: int = 1,
        z_dim: int = 3,
        latents_mean: tuple[float, ...] = (0.0, 0.0, 0.0),
        latents_std: tuple[float, ...] = (1.0, 1.0, 1.0),
        block_out_channels: tuple[int, ...] = (3,),
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
    ):
        super().__init__()
        if (scale_factor_spatial, scale_factor_temporal) != (1, 1):
            raise ValueError(
                "`scale_factor_spatial` and `scale_factor_temporal` must be 1, "
                f"got {scale_factor_spatial!r} and {scale_factor_temporal!r}"
            )
        # Pipelines ask their autoencoder for a device and a dtype; this tensor has them.
        self.register_buffer("place", torch.zeros(1))
        spatial, temporal = native_factors(WanPipeline.__call__, *native_size)
        self.register_to_config(scale_factor_spatial=spatial, scale_factor_temporal=temporal)

    def decode(self, z: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Return `z` itself, of any shape."""
        return DecoderOutput(sample=z) if return_dict else (z,)
