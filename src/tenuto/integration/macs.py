"""Count the multiply-accumulates of one forward of any transformer built of linear layers."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tenuto.integration.shards import shards_of

COUNTED_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""What has multiply-accumulates of its own."""
_PROJECTIONS = ("to_q", "to_k", "add_q_proj", "add_k_proj")
"""Layers of an attention whose outputs tell its sequences; adapters may wrap them."""


Sizes = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MacTable:
    """Multiply-accumulates of one dense call.

    Attributes:
        leaves: Of each linear layer and convolution.
        cores: Of each attention's two score products (queries with keys, weights with values).
        attended: Of each attention's calls, (batch, queries, keys, channels) of the products.
    """

    leaves: dict[nn.Module, int]
    cores: dict[nn.Module, int]
    attended: dict[nn.Module, list[Sizes]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Of the whole model."""
        return sum(self.leaves.values()) + sum(self.cores.values())

    def within(self, module: nn.Module) -> int:
        """Of a module with everything in it."""
        inside = set(module.modules())
        both = [*self.leaves.items(), *self.cores.items()]
        return sum(macs for part, macs in both if part in inside)


class MacCounter:
    """Watch forwards: `start`, run the model, `stop`; several calls add up.

    Elementwise work, norms and embeddings are not counted; biases neither. An attention is a module
    with ``to_q`` and ``to_k``; its sequence is what they and ``add_q_proj``/``add_k_proj`` put out.
    """

    def __init__(self, model: nn.Module) -> None:
        """Take the model; nothing is watched yet."""
        self._model = model
        self._hooks: list[RemovableHandle] = []
        self._outputs: dict[nn.Module, list[tuple[int, ...]]] = {}

    def start(self) -> None:
        """Watch the model's linear layers and convolutions."""
        self._outputs = {}
        modules = list(self._model.modules())
        projections = {getattr(m, name, None) for m in modules for name in _PROJECTIONS}
        for module in modules:
            if isinstance(module, COUNTED_LAYERS) or module in projections:
                self._hooks.append(module.register_forward_hook(self._note))

    def stop(self) -> MacTable:
        """Stop watching and return the counts."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        leaves: dict[nn.Module, int] = {
            module: sum(prod(shape) for shape in shapes) * fan_in(module)
            for module, shapes in self._outputs.items()
            if isinstance(module, COUNTED_LAYERS)
        }
        attended = {
            m: self._attended(m)
            for m in self._model.modules()
            if self._sequences(m, "q") and self._sequences(m, "k")
        }
        cores = {m: sum(2 * prod(sizes) for sizes in calls) for m, calls in attended.items()}
        return MacTable(leaves, cores, attended)

    def _note(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        del args
        self._outputs.setdefault(module, []).append(tuple(output.shape))

    def _attended(self, attention: nn.Module) -> list[Sizes]:
        """Sizes of the score products of every call."""
        queries, keys = self._sequences(attention, "q"), self._sequences(attention, "k")
        is_cross = getattr(attention, "is_cross_attention", False)
        # Ulysses: the rank's share of the heads, with the keys of all ranks.
        ranks = 1 if is_cross else shards_of(self._model).num_ranks
        return [
            (batch, rows, num_keys * ranks, channels)
            for (batch, rows, channels), (_, num_keys, _) in zip(queries, keys, strict=True)
        ]

    def _sequences(self, attention: nn.Module, which: str) -> list[tuple[int, int, int]]:
        """(batch, rows, channels) of the attended queries or keys, call by call."""
        own = self._outputs.get(getattr(attention, f"to_{which}", None), [])  # type: ignore[arg-type]
        added = self._outputs.get(getattr(attention, f"add_{which}_proj", None), [])  # type: ignore[arg-type]
        extra = [shape[1] for shape in added] or [0] * len(own)
        return [(s[0], s[1] + more, s[-1]) for s, more in zip(own, extra, strict=True)]


def fan_in(layer: Any) -> int:
    """Multiply-accumulates for each output value of a layer."""
    return layer.in_features if isinstance(layer, nn.Linear) else prod(layer.weight.shape[1:])
