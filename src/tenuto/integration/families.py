"""The supported transformers, one row a family; `register_family` adds one."""

from torch import nn

from tenuto.errors import UnsupportedModelError
from tenuto.integration import grids
from tenuto.integration.family import BlockFamily, Grid, ModelFamily
from tenuto.integration.family_check import check_blocks

__all__ = ["FAMILIES", "BlockFamily", "Grid", "ModelFamily", "family_of", "register_family"]

_UNET_BLOCKS = tuple(
    BlockFamily(
        blocks=holder,
        block_classes=("BasicTransformerBlock",),
        nested=True,
        chained=False,
        self_attention="attn1",
        cross_attention="attn2",
        feed_forward="ff",
    )
    for holder in ("down_blocks", "mid_block", "up_blocks")
)

_TABLE = (
    ModelFamily(
        model_class="WanTransformer3DModel",
        blocks=(
            BlockFamily(
                blocks="blocks",
                block_classes=("WanTransformerBlock",),
                self_attention="attn1",
                cross_attention="attn2",
                feed_forward="ffn",
            ),
        ),
        grid=grids.patch_grid,
    ),
    ModelFamily(
        model_class="HunyuanVideoTransformer3DModel",
        blocks=(
            BlockFamily(
                blocks="transformer_blocks",
                block_classes=(
                    "HunyuanVideoTransformerBlock",
                    "HunyuanVideoTokenReplaceTransformerBlock",
                ),
                returns="image_text",
                self_attention="attn",
                feed_forward="ff",
                joint="image_first",
            ),
            BlockFamily(
                blocks="single_transformer_blocks",
                block_classes=(
                    "HunyuanVideoSingleTransformerBlock",
                    "HunyuanVideoTokenReplaceSingleTransformerBlock",
                ),
                returns="image_text",
                self_attention="attn",
                joint="image_first",
                fused=("proj_mlp", "proj_out"),
            ),
        ),
        grid=grids.video_patch_grid,
        limits=("token-replace models reduce tokens of the given first frame like all others",),
    ),
    ModelFamily(
        model_class="CogVideoXTransformer3DModel",
        blocks=(
            BlockFamily(
                blocks="transformer_blocks",
                block_classes=("CogVideoXBlock",),
                returns="image_text",
                self_attention="attn1",
                feed_forward="ff",
                joint="text_first",
                text_in_ffn=True,
            ),
        ),
        grid=grids.frames_first_grid,
    ),
    ModelFamily(
        model_class="LTXVideoTransformer3DModel",
        blocks=(
            BlockFamily(
                blocks="transformer_blocks",
                block_classes=("LTXVideoTransformerBlock",),
                self_attention="attn1",
                cross_attention="attn2",
                feed_forward="ff",
            ),
        ),
        grid=grids.told_grid,
        limits=("dense where `video_coords` replace the frames, height and width",),
    ),
    ModelFamily(
        model_class="MochiTransformer3DModel",
        blocks=(
            BlockFamily(
                blocks="transformer_blocks",
                block_classes=("MochiTransformerBlock",),
                returns="image_text",
                self_attention="attn1",
                feed_forward="ff",
                joint="image_first",
                attends_by_sample=True,
            ),
        ),
        grid=grids.video_patch_grid,
        limits=("counted operations take padding of the text for attended",),
    ),
    ModelFamily(
        model_class="SD3Transformer2DModel",
        blocks=(
            BlockFamily(
                blocks="transformer_blocks",
                block_classes=("JointTransformerBlock",),
                returns="text_image",
                self_attention="attn",
                image_attention="attn2",
                feed_forward="ff",
                joint="image_first",
            ),
        ),
        grid=grids.patch_grid,
        residual_inputs=("block_controlnet_hidden_states",),
        limits=("no IP-Adapter",),
    ),
    ModelFamily(
        model_class="FluxTransformer2DModel",
        blocks=(
            BlockFamily(
                blocks="transformer_blocks",
                block_classes=("FluxTransformerBlock",),
                returns="text_image",
                self_attention="attn",
                feed_forward="ff",
                joint="text_first",
            ),
            BlockFamily(
                blocks="single_transformer_blocks",
                block_classes=("FluxSingleTransformerBlock",),
                returns="text_image",
                self_attention="attn",
                joint="text_first",
                text_in_rows=True,
                fused=("proj_mlp", "proj_out"),
            ),
        ),
        grid=grids.position_id_grid,
        residual_inputs=("controlnet_block_samples", "controlnet_single_block_samples"),
        limits=("dense with reference images (Kontext)", "no IP-Adapter"),
    ),
    ModelFamily(
        model_class="QwenImageTransformer2DModel",
        blocks=(
            BlockFamily(
                blocks="transformer_blocks",
                block_classes=("QwenImageTransformerBlock",),
                returns="text_image",
                self_attention="attn",
                feed_forward="img_mlp",
                joint="text_first",
            ),
        ),
        grid=grids.image_shape_grid,
        residual_inputs=("controlnet_block_samples",),
        limits=("dense with reference images (Qwen-Image-Edit) and with layers",),
    ),
    ModelFamily(
        model_class="DiTTransformer2DModel",
        blocks=(
            BlockFamily(
                blocks="transformer_blocks",
                block_classes=("BasicTransformerBlock",),
                self_attention="attn1",
                feed_forward="ff",
            ),
        ),
        grid=grids.patch_grid,
    ),
    ModelFamily(
        model_class="PixArtTransformer2DModel",
        blocks=(
            BlockFamily(
                blocks="transformer_blocks",
                block_classes=("BasicTransformerBlock",),
                self_attention="attn1",
                cross_attention="attn2",
                feed_forward="ff",
            ),
        ),
        grid=grids.patch_grid,
    ),
    ModelFamily(
        model_class="UNet2DConditionModel",
        blocks=_UNET_BLOCKS,
        grid=None,
        latents="sample",
        grid_holder="Transformer2DModel",
        limits=(
            "resolutions whose grid is too small for the ratio run dense",
            "no forecasts of runs of blocks, no calibration",
        ),
    ),
)

FAMILIES: dict[str, ModelFamily] = {family.model_class: family for family in _TABLE}
"""Supported transformers by class name."""


def register_family(family: ModelFamily) -> None:
    """Let `accelerate` know one more transformer class.

    Args:
        family: Its row; a class that is known already keeps the row it has.

    Raises:
        ValueError: The class is known already, or the row names no blocks.
    """
    if family.model_class in FAMILIES:
        raise ValueError(f"`family` must be of a new class, got {family.model_class}")
    if not family.blocks:
        raise ValueError(f"`family` must name blocks, got none for {family.model_class}")
    FAMILIES[family.model_class] = family


def family_of(model: nn.Module) -> ModelFamily:
    """Return the row of a transformer.

    Raises:
        UnsupportedModelError: Its class, or a block of it, is not in the table, or a part that the
            table names works in a way the hooks cannot follow.
    """
    name = type(model).__name__
    if name not in FAMILIES:
        raise UnsupportedModelError(
            f"`pipe_or_model` must hold one of {sorted(FAMILIES)}, got {name}"
        )
    family = FAMILIES[name]
    check_blocks(model, family)
    return family
