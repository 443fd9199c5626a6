"""The two linear layers of a block's feed-forward, wherever the block keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tenuto.algorithms.ffn_reuse import FFNReuse
from tenuto.errors import UnsupportedModelError
from tenuto.integration.families import BlockFamily
from tenuto.integration.memory import Key

_GATES = {"GELU": 1, "ApproximateGELU": 1, "LinearActivation": 1, "GEGLU": 2, "SwiGLU": 2}
"""First parts of a feed-forward, and how many outputs of their layer make one hidden value."""

_FUSED_ACTIVATIONS = ("GELU", "SiLU")
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True, slots=True, eq=False)
class FeedForwardLayers:
    """Where a feed-forward's hidden layer begins and ends.

    Attributes:
        place: Its name, for errors.
        up: Makes the hidden layer; with a gate, values and gates one after the other.
        down: Reads it, after its first `offset` inputs where it is fused with an attention.
        gates: Outputs of `up` for each hidden value, 1 or 2.
        offset: Inputs of `down` before the hidden layer.
        owners: Modules that hold `up` and `down`, and under which names.
    """

    place: str
    up: Any
    down: Any
    gates: int
    offset: int
    owners: tuple[tuple[nn.Module, str], ...] = ()

    @property
    def are_in_place(self) -> bool:
        """The layers are still the ones that run: no adapter took their places."""
        layers = [getattr(module, name) for module, name in self.owners]
        return all(a is b for a, b in zip(layers, (self.up, self.down), strict=False))

    @property
    def hidden(self) -> int:
        """Width of the hidden layer."""
        return self.down.in_features - self.offset


def feed_forwards(
    rows: Sequence[tuple[BlockFamily, nn.Module]],
    model_name: str,
    blocks: tuple[int, ...] | None = None,
) -> list[tuple[Key, FeedForwardLayers]]:
    """Return the feed-forwards of blocks, under the keys that token reduction gives them.

    Args:
        rows: All blocks in the order in which they run, each with its row of the table.
        model_name: For errors.
        blocks: Numbers of the blocks; None is all of them.

    Raises:
        ValueError: A number of `blocks` is of no block.
        UnsupportedModelError: One is built in a way that is not known, or there is none.
    """
    if blocks is not None and max(blocks) >= len(rows):
        raise ValueError(f"`blocks` must be below {len(rows)}, got {blocks!r}")
    found = []
    for index, (row, block) in enumerate(rows):
        if blocks is not None and index not in blocks:
            continue
        layers = _layers_of(block, row, f"{model_name} block {index}")
        if layers is not None:
            found.append(((index, "ffn" if row.fused is None else "fused"), layers))
    if not found:
        raise UnsupportedModelError(f"{model_name} must have feed-forwards for FFNReuse, got none")
    return found


def _layers_of(block: nn.Module, row: BlockFamily, place: str) -> FeedForwardLayers | None:
    if row.fused is not None:
        return _fused_layers(block, row.fused, place)
    if row.feed_forward is None:
        return None
    place = f"{place}.{row.feed_forward}"
    net: Any = getattr(getattr(block, row.feed_forward), "net", (None,))
    first = net[0]
    kind = type(first).__name__
    if kind not in _GATES:
        raise UnsupportedModelError(
            f"{place}.net[0] must be one of {sorted(_GATES)} for FFNReuse, got {kind}"
        )
    up = first.proj
    owners = ((first, "proj"), (net, "2"))
    return _checked(FeedForwardLayers(place, up, net[2], _GATES[kind], 0, owners))


def _fused_layers(block: nn.Module, names: tuple[str, str], place: str) -> FeedForwardLayers:
    """Up-projection, activation, and a down-projection that reads the attention before it."""
    up, down = (getattr(block, name) for name in names)
    kind = type(getattr(block, "act_mlp", None)).__name__
    if kind not in _FUSED_ACTIVATIONS:
        raise UnsupportedModelError(
            f"{place}.act_mlp must be one of {list(_FUSED_ACTIVATIONS)} for FFNReuse, got {kind}"
        )
    offset = getattr(down, "in_features", 0) - getattr(up, "out_features", 0)
    owners = ((block, names[0]), (block, names[1]))
    return _checked(FeedForwardLayers(place, up, down, 1, offset, owners))


def _checked(layers: FeedForwardLayers) -> FeedForwardLayers:
    for name, layer in (("up", layers.up), ("down", layers.down)):
        if not hasattr(layer, "in_features") or not hasattr(layer, "out_features"):
            raise UnsupportedModelError(
                f"the {name}-projection of {layers.place} must be a linear layer for FFNReuse, "
                f"got {type(layer).__name__}"
            )
    return layers


def check_weights(found: Sequence[tuple[Key, FeedForwardLayers]], setting: FFNReuse) -> None:
    """Raise where a setting has to read weights that are not plain numbers of one dtype.

    Marks on elements by magnitude go through the layers' own calls and take any weights.

    Raises:
        UnsupportedModelError: A layer is quantized, wrapped, on the meta device, or of another
            dtype than its partner.
    """
    if setting.granularity == "element" and setting.select == "magnitude":
        return
    for _, layers in found:
        up, down = (_plain_dtype(layers, name) for name in ("up", "down"))
        if up != down:
            raise UnsupportedModelError(
                f"both projections of {layers.place} must have one dtype for FFNReuse, got {up} "
                f"and {down}"
            )


def _plain_dtype(layers: FeedForwardLayers, name: str) -> torch.dtype:
    layer: Any = getattr(layers, name)
    weight: Any = getattr(layer, "weight", None)
    is_plain = type(layer) is nn.Linear and type(weight) is nn.Parameter and not weight.is_meta
    if not is_plain or weight.dtype not in _DTYPES:
        what = "" if weight is None else f" with weights {type(weight).__name__} of {weight.dtype}"
        raise UnsupportedModelError(
            f"the {name}-projection of {layers.place} must be a plain torch.nn.Linear of floating "
            "point numbers for FFNReuse, except with granularity='element' and "
            f"select='magnitude', got {type(layer).__name__}{what}"
        )
    return weight.dtype
