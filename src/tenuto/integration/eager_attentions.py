"""Find the attentions that can be predicted, and their projections."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from tenuto.algorithms.eager_prediction import EagerPrediction
from tenuto.errors import UnsupportedModelError
from tenuto.integration.families import BlockFamily

Role = Literal["query", "key", "value", "output"]
_OWN: dict[str, Role] = {"to_q": "query", "to_k": "key", "to_v": "value"}
_ADDED: dict[str, Role] = {"add_q_proj": "query", "add_k_proj": "key", "add_v_proj": "value"}


@dataclass(frozen=True, slots=True, eq=False)
class EagerAttention:
    """An attention module that can be predicted.

    Attributes:
        module: The attention.
        block_index: Its block's number in the order in which blocks run.
        roles: Its projections in the order in which their rows are attended.
    """

    module: nn.Module
    block_index: int
    roles: dict[nn.Module, Role]


def eager_attentions(
    rows: list[tuple[BlockFamily, nn.Module]], technique: EagerPrediction
) -> list[EagerAttention]:
    """Return the attentions that a technique concerns.

    Args:
        rows: All blocks in the order in which they run, each with its row of the table.
        technique: Names blocks and kinds of attention.

    Raises:
        ValueError: The technique names a block that is not there.
        UnsupportedModelError: A projection is not a plain linear layer, or an attention makes a
            product for each sample.
    """
    blocks = range(len(rows)) if technique.blocks is None else technique.blocks
    if max(blocks, default=0) >= len(rows):
        raise ValueError(f"`blocks` must be below {len(rows)}, got {technique.blocks!r}")
    found: list[EagerAttention] = []
    for index in blocks:
        row, block = rows[index]
        if row.attends_by_sample and not technique.is_off:
            raise UnsupportedModelError(
                f"{type(block).__name__} must attend to all samples in one product for eager "
                "prediction, got one product a sample"
            )
        if "self" in technique.scope:
            module = getattr(block, row.self_attention)
            found.append(EagerAttention(module, index, _roles(module, row.joint == "text_first")))
        if "cross" in technique.scope and row.cross_attention:
            module = getattr(block, row.cross_attention)
            found.append(EagerAttention(module, index, _roles(module, False)))
    return found


def _roles(module: nn.Module, added_first: bool) -> dict[nn.Module, Role]:
    """Return the projections of a module in the order in which their rows are attended."""
    pairs = [_ADDED, _OWN] if added_first else [_OWN, _ADDED]
    roles: dict[nn.Module, Role] = {}
    for names in pairs:
        for name, role in names.items():
            layer = getattr(module, name, None)
            if layer is not None:
                roles[_plain(layer, name)] = role
    for name in ("to_out", "to_add_out"):
        layer = getattr(module, name, None)
        if layer is not None:
            roles[layer[0] if isinstance(layer, nn.ModuleList) else layer] = "output"
    return roles


def _plain(layer: nn.Module, name: str) -> nn.Module:
    """Return a layer whose weights can be read.

    Raises:
        UnsupportedModelError: It is not a linear layer with floating-point weights.
    """
    if type(layer) is not nn.Linear or not layer.weight.is_floating_point():
        raise UnsupportedModelError(
            f"`{name}` must be a linear layer with floating-point weights for eager prediction, "
            f"got {type(layer).__name__}"
        )
    return layer
