"""Which operation of a trace each layer and attention product of a transformer is."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from tenuto.integration.family import BlockFamily, ModelFamily
from tenuto.integration.macs import COUNTED_LAYERS
from tenuto.traces.schema import Part

_SELF = {"to_q": Part.QUERY, "to_k": Part.KEY_VALUE, "to_v": Part.KEY_VALUE}
_TEXT_FEED_FORWARDS = ("ff_context", "txt_mlp")


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One layer, or one attention for its two score products.

    Attributes:
        block: Position of its block; -1 outside.
        part: What it is; of an attention SCORES or CROSS_SCORES.
        module: The layer or attention.
        offset: Inputs of a down-projection that come from the attention beside it.
        up: Of a down-projection, the layer that makes its hidden values.
    """

    block: int
    part: Part
    module: nn.Module
    offset: int = 0
    up: nn.Module | None = None

    @property
    def is_attention(self) -> bool:
        """Stands for two score products."""
        return self.part in (Part.SCORES, Part.CROSS_SCORES)


def layout_of(model: nn.Module, family: ModelFamily) -> list[Slot]:
    """List every layer and attention once: first those outside of blocks, then block by block."""
    inside: list[Slot] = []
    for index, (row, block) in enumerate(family.blocks_of(model)):
        taken: set[nn.Module] = set()
        for slot in (*_known(row, block, index), *_rest(block, index)):
            if slot.module not in taken:
                taken.add(slot.module)
                inside.append(slot)
    covered = {slot.module for slot in inside}
    outside = [slot for slot in _rest(model, -1) if slot.module not in covered]
    return outside + inside


def _known(row: BlockFamily, block: nn.Module, index: int) -> Iterator[Slot]:
    for name in (row.self_attention, row.image_attention):
        if (module := _part(block, name)) is not None:
            yield from _attention(module, index)
    if (module := _part(block, row.cross_attention)) is not None:
        yield from (Slot(index, Part.CROSS_LINEAR, layer) for layer in _layers(module))
        yield Slot(index, Part.CROSS_SCORES, module)
    if (module := _part(block, row.feed_forward)) is not None:
        yield from _feed_forward(module, index)
    if row.fused is not None:
        up, down = (getattr(block, name) for name in row.fused)
        yield from (Slot(index, Part.FFN_UP, layer) for layer in _layers(up))
        offset = down.in_features - up.out_features
        yield Slot(index, Part.FFN_DOWN, down, offset, up)
    for name in _TEXT_FEED_FORWARDS:
        if (module := _part(block, name)) is not None:
            yield from (Slot(index, Part.TEXT_LINEAR, layer) for layer in _layers(module))


def _attention(module: nn.Module, index: int) -> Iterator[Slot]:
    """Projections of the image, the products, then the output and what belongs to text."""
    for name, part in _SELF.items():
        if (projection := _part(module, name)) is not None:
            yield from (Slot(index, part, layer) for layer in _layers(projection))
    yield Slot(index, Part.SCORES, module)
    if (output := _part(module, "to_out")) is not None:
        yield from (Slot(index, Part.PROJECTION, layer) for layer in _layers(output))
    yield from (Slot(index, Part.TEXT_LINEAR, layer) for layer in _layers(module))


def _feed_forward(module: nn.Module, index: int) -> Iterator[Slot]:
    """A layer that narrows its input ends the hidden layer that the one before it made."""
    up: nn.Module | None = None
    for layer in _layers(module):
        if isinstance(layer, nn.Linear) and layer.in_features > layer.out_features:
            yield Slot(index, Part.FFN_DOWN, layer, 0, up)
        else:
            up = layer
            yield Slot(index, Part.FFN_UP, layer)


def _rest(module: nn.Module, index: int) -> Iterator[Slot]:
    """Modulations, embeddings, text refiners, residual blocks of U-Nets (3 x 3 convolutions)."""
    for layer in _layers(module):
        is_residual = isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
        yield Slot(index, Part.RESIDUAL_BLOCK if is_residual else Part.OTHER_LINEAR, layer)
    for part in module.modules():
        if all(_part(part, name) is not None for name in ("to_q", "to_k")):
            yield Slot(index, Part.CROSS_SCORES, part)


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    return (layer for layer in module.modules() if isinstance(layer, COUNTED_LAYERS))


def _part(module: nn.Module, name: str | None) -> nn.Module | None:
    return None if name is None else getattr(module, name, None)
