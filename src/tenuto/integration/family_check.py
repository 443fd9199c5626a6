"""Say in one sentence why a part of a model cannot be hooked."""

from torch import nn

from tenuto.errors import UnsupportedModelError
from tenuto.integration.family import BlockFamily, ModelFamily

_ATTENTION = {
    "fused_projections": "call `unfuse_qkv_projections()` first",
    "residual_connection": "its residual is added inside the module",
    "is_cross_attention": "it attends to the text alone, so its rows cannot be paired with keys",
}
_BLOCK = {
    "double_self_attention": "its second attention is no cross-attention",
    "_chunk_size": "call `disable_forward_chunking()` first",
}


def check_blocks(model: nn.Module, family: ModelFamily) -> None:
    """Raise where a block, or a part that its row names, works in a way the hooks cannot follow.

    Raises:
        UnsupportedModelError: The sentence names the place and the reason.
    """
    name = type(model).__name__
    if not family.blocks_of(model):
        raise UnsupportedModelError(f"{name} must have transformer blocks, got none")
    for row in family.blocks:
        for index, block in enumerate(row.blocks_of(model)):
            _check_block(row, block, f"{name}.{row.blocks}[{index}]")


def _check_block(row: BlockFamily, block: nn.Module, place: str) -> None:
    if type(block).__name__ not in row.block_classes:
        expected = " or ".join(row.block_classes)
        raise UnsupportedModelError(f"{place} must be a {expected}, got {type(block).__name__}")
    _check(block, place, _BLOCK)
    for attention in _attentions(row, block):
        _check_attention(getattr(block, attention), f"{place}.{attention}")


def _attentions(row: BlockFamily, block: nn.Module) -> list[str]:
    """Return the attributes with a self-attention."""
    names = [row.self_attention, *([row.image_attention] if row.image_attention else [])]
    return [name for name in names if getattr(block, name, None) is not None]


def _check_attention(attention: nn.Module, place: str) -> None:
    """Raise where rows of the output are not a function of rows of the projections alone."""
    _check(attention, place, _ATTENTION)
    if getattr(attention, "rescale_output_factor", 1.0) != 1.0:
        raise UnsupportedModelError(f"{place} must not rescale its output")
    processor = type(getattr(attention, "processor", None)).__name__
    if "IPAdapter" in processor:
        raise UnsupportedModelError(
            f"{place} must attend to its own rows alone, got {processor}: unload the IP-Adapter"
        )


def _check(module: nn.Module, place: str, problems: dict[str, str]) -> None:
    for attribute, remedy in problems.items():
        if getattr(module, attribute, None):
            raise UnsupportedModelError(f"{place} must not set `{attribute}`: {remedy}")
