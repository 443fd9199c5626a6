"""The supported transformers: where their parts are and what goes in and out. One row a family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from tenuto.errors import UnsupportedModelError

Grid = tuple[int, ...]
Inputs = Mapping[str, Any]
"""Arguments of a transformer's forward, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFamily:
    """One block class.

    Attributes:
        blocks: Attribute of the transformer that lists the blocks.
        block_class: Its class name.
        returns: What a block returns: image stream alone, or with the text stream before it.
        self_attention: Attribute with the self- or joint attention.
        cross_attention: Attribute with the cross-attention, None if there is none.
        feed_forward: Attribute with the image stream's feed-forward, None if it is fused.
        joint: Where text stands in the attended sequence, None if text is not in it.
        text_in_rows: The attention's input rows are text and image together.
        fused: Attributes of up- and down-projection where attention and feed-forward share one
            output projection.
    """

    blocks: str
    block_class: str
    returns: Literal["image", "text_image"] = "image"
    self_attention: str
    cross_attention: str | None = None
    feed_forward: str | None = None
    joint: Literal["text_first", "image_first"] | None = None
    text_in_rows: bool = False
    fused: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """One transformer class.

    Attributes:
        model_class: Its class name.
        blocks: Its block classes in the order in which they run.
        grid: Token grid, row-major, from the model and its inputs.
        residual_inputs: Inputs that add to the image stream between blocks; forecasts of whole
            runs of blocks cannot see them, so such calls run dense.
    """

    model_class: str
    blocks: tuple[BlockFamily, ...]
    grid: Callable[[nn.Module, Inputs], Grid]
    residual_inputs: tuple[str, ...] = ()


def _patch_grid(model: nn.Module, inputs: Inputs) -> Grid:
    """Latent axes divided by the patch size, (frames,) rows, columns."""
    patch: Any = model.config.patch_size  # type: ignore[union-attr]
    axes = inputs["hidden_states"].shape[2:]
    sizes = patch if isinstance(patch, tuple | list) else (patch,) * len(axes)
    return tuple(axis // size for axis, size in zip(axes, sizes, strict=True))


def _flux_grid(model: nn.Module, inputs: Inputs) -> Grid:
    """Rows and columns from the image ids, whose last two columns are row and column."""
    del model
    ids: Tensor = inputs["img_ids"]
    ids = ids[0] if ids.ndim == 3 else ids
    rows, columns = (int(x) + 1 for x in ids[:, 1:].amax(0).tolist())
    return rows, columns


FAMILIES: dict[str, ModelFamily] = {
    family.model_class: family
    for family in (
        ModelFamily(
            model_class="WanTransformer3DModel",
            blocks=(
                BlockFamily(
                    blocks="blocks",
                    block_class="WanTransformerBlock",
                    self_attention="attn1",
                    cross_attention="attn2",
                    feed_forward="ffn",
                ),
            ),
            grid=_patch_grid,
        ),
        ModelFamily(
            model_class="SD3Transformer2DModel",
            blocks=(
                BlockFamily(
                    blocks="transformer_blocks",
                    block_class="JointTransformerBlock",
                    returns="text_image",
                    self_attention="attn",
                    feed_forward="ff",
                    joint="image_first",
                ),
            ),
            grid=_patch_grid,
            residual_inputs=("block_controlnet_hidden_states",),
        ),
        ModelFamily(
            model_class="DiTTransformer2DModel",
            blocks=(
                BlockFamily(
                    blocks="transformer_blocks",
                    block_class="BasicTransformerBlock",
                    self_attention="attn1",
                    feed_forward="ff",
                ),
            ),
            grid=_patch_grid,
        ),
        ModelFamily(
            model_class="PixArtTransformer2DModel",
            blocks=(
                BlockFamily(
                    blocks="transformer_blocks",
                    block_class="BasicTransformerBlock",
                    self_attention="attn1",
                    cross_attention="attn2",
                    feed_forward="ff",
                ),
            ),
            grid=_patch_grid,
        ),
        ModelFamily(
            model_class="FluxTransformer2DModel",
            blocks=(
                BlockFamily(
                    blocks="transformer_blocks",
                    block_class="FluxTransformerBlock",
                    returns="text_image",
                    self_attention="attn",
                    feed_forward="ff",
                    joint="text_first",
                ),
                BlockFamily(
                    blocks="single_transformer_blocks",
                    block_class="FluxSingleTransformerBlock",
                    returns="text_image",
                    self_attention="attn",
                    joint="text_first",
                    text_in_rows=True,
                    fused=("proj_mlp", "proj_out"),
                ),
            ),
            grid=_flux_grid,
            residual_inputs=("controlnet_block_samples", "controlnet_single_block_samples"),
        ),
    )
}
"""Supported transformers by class name."""


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
    for row in family.blocks:
        for index, block in enumerate(getattr(model, row.blocks)):
            place = f"{name}.{row.blocks}[{index}]"
            if type(block).__name__ != row.block_class:
                raise UnsupportedModelError(
                    f"{place} must be a {row.block_class}, got {type(block).__name__}"
                )
            _check_attention(getattr(block, row.self_attention), f"{place}.{row.self_attention}")
    return family


def _check_attention(attention: nn.Module, place: str) -> None:
    """Raise where rows of the output are not a function of rows of the projections alone."""
    problems = {
        "fused_projections": "call `unfuse_qkv_projections()` first",
        "residual_connection": "its residual is added inside the module",
    }
    for attribute, remedy in problems.items():
        if getattr(attention, attribute, False):
            raise UnsupportedModelError(f"{place} must not set `{attribute}`: {remedy}")
    if getattr(attention, "rescale_output_factor", 1.0) != 1.0:
        raise UnsupportedModelError(f"{place} must not rescale its output")
