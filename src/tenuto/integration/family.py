"""What the hooks must know of a transformer class: where its parts are and what goes in and out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from torch import Tensor, nn

Grid = tuple[int, ...]
Inputs = Mapping[str, Any]
"""Arguments of a transformer's forward, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFamily:
    """One kind of block.

    Attributes:
        blocks: Attribute of the transformer that lists the blocks.
        block_classes: Names of the classes that this row is right for.
        nested: The attribute holds other modules too; its blocks are all modules of
            `block_classes` inside, in the order of their registration.
        chained: Each block takes what the one before it returned, so that runs of blocks can be
            forecast as one.
        returns: Image stream alone, or with the text stream before or after it.
        self_attention: Attribute with the self- or joint attention.
        image_attention: Attribute with a second self-attention that sees image rows alone; None,
            or an attribute that is None, where there is none.
        cross_attention: The same for the cross-attention.
        feed_forward: Attribute with the image stream's feed-forward, None if it is fused.
        joint: Where text stands in every sequence that holds text and image, None if none does.
        text_in_rows: The attention takes and returns text and image as one sequence.
        text_in_ffn: The feed-forward does.
        fused: Attributes of up- and down-projection where attention and feed-forward share one
            output projection; they take text and image as one sequence.
        attends_by_sample: The attention makes one product for each sample of a batch.
    """

    blocks: str
    block_classes: tuple[str, ...]
    nested: bool = False
    chained: bool = True
    returns: Literal["image", "text_image", "image_text"] = "image"
    self_attention: str
    image_attention: str | None = None
    cross_attention: str | None = None
    feed_forward: str | None = None
    joint: Literal["text_first", "image_first"] | None = None
    text_in_rows: bool = False
    text_in_ffn: bool = False
    fused: tuple[str, str] | None = None
    attends_by_sample: bool = False

    @property
    def text_first(self) -> bool:
        """Text rows, where there are any, stand before the image rows."""
        return self.joint != "image_first"

    def blocks_of(self, model: nn.Module) -> Iterable[nn.Module]:
        """Return the blocks of this kind in the order in which they run."""
        holder: Any = getattr(model, self.blocks)
        if not self.nested:
            return holder
        inside = holder.modules() if holder is not None else ()
        return [module for module in inside if type(module).__name__ in self.block_classes]

    def image_of(self, output: Any) -> Tensor:
        """Return the image stream of what a block returned."""
        return output if self.returns == "image" else output[self.returns == "text_image"]

    def text_of(self, output: Any) -> Tensor | None:
        """Return the text stream of what a block returned, None where none goes on."""
        return None if self.returns == "image" else output[self.returns == "image_text"]

    def output_of(self, image: Tensor, text: Tensor | None = None) -> Any:
        """Return the streams as a block returns them."""
        if self.returns == "image":
            return image
        return (text, image) if self.returns == "text_image" else (image, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """One transformer class.

    Attributes:
        model_class: Its class name.
        blocks: Its kinds of blocks in the order in which they run.
        grid: Token grid, row-major, from the model and its inputs; returns None where the inputs
            do not tell. None where only feature maps inside the model tell: see `grid_holder`.
        latents: Argument of the transformer with the noisy latents.
        grid_holder: Class of the modules inside whose input's last two axes are the token grid of
            the blocks in them.
        residual_inputs: Inputs that add to the image stream between blocks; forecasts of whole
            runs of blocks cannot see them, so such calls run dense.
        limits: What does not work, one short phrase each, for the documentation.
    """

    model_class: str
    blocks: tuple[BlockFamily, ...]
    grid: Callable[[nn.Module, Inputs], Grid | None] | None
    latents: str = "hidden_states"
    grid_holder: str | None = None
    residual_inputs: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def blocks_of(self, model: nn.Module) -> list[tuple[BlockFamily, nn.Module]]:
        """Return all blocks in the order in which they run, each with its row."""
        return [(row, block) for row in self.blocks for block in row.blocks_of(model)]

    def grid_of(self, model: nn.Module, inputs: Inputs) -> Grid | None:
        """Return the token grid; None where the inputs hold other image rows than those of one."""
        if self.grid is None:
            return ()
        grid = self.grid(model, inputs)
        latents: Tensor = inputs[self.latents]
        is_packed = latents.ndim == 3  # (batch, tokens, channels): nothing is patchified inside
        return None if grid and is_packed and latents.shape[1] != prod(grid) else grid
