"""One sample's tokens spread over processes: diffusers' context parallelism.

Each rank hooks its own copy of the model and sees its own shard of the token rows, a stretch of the
row-major grid. Whatever works row by row needs no word from the others. The attention product does:
with Ulysses, every rank computes it for all rows and some of the heads, so each must know which
rows the others keep. Decisions depend on the schedule alone, or on counts that all ranks agree on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tenuto.algorithms.reduction import Reduction
from tenuto.errors import UnsupportedModelError
from tenuto.integration.family import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """How many ranks share a sample's tokens, and how they talk.

    Attributes:
        num_ranks: 1 where nothing is shared.
        group: Of the ranks, in the order of their stretches; None where nothing is shared.
        uneven: Shards may be of different lengths.
        ring: Keys go round by ring attention, at least in part.
    """

    num_ranks: int = 1
    group: "dist.ProcessGroup | None" = None
    uneven: bool = False
    ring: bool = False

    def grid(self, grid: Grid | None) -> Grid | None:
        """Return the grid of one shard; None and the empty grid stay.

        Leading axes are merged until the shards cut the first that is left: 4 frames of 6 x 6 on 2
        ranks are (2, 6, 6), 3 frames (1, 9, 6).
        """
        if not grid or self.num_ranks == 1:
            return grid
        for axis in range(len(grid)):
            length = prod(grid[: axis + 1])
            if length % self.num_ranks == 0:
                return (*(1,) * axis, length // self.num_ranks, *grid[axis + 1 :])
        raise ValueError(
            f"`grid` must divide among {self.num_ranks} ranks, got {grid} of {prod(grid)} tokens"
        )

    def least(self, count: int, device: torch.device) -> int:
        """Return the smallest count of any rank; a device of the group's backend carries it."""
        if self.num_ranks == 1:
            return count
        least = torch.tensor(count, device=device)
        dist.all_reduce(least, dist.ReduceOp.MIN, self.group)
        return int(least)

    def rows_of_all(self, kept: Tensor, num_rows: int) -> Tensor:
        """Return the kept rows of all ranks in the sequence that Ulysses puts together.

        Args:
            kept: (batch, kept) rows of this rank's sequence, as many on every rank.
            num_rows: Rows of one rank's sequence.

        Returns:
            (batch, ranks * kept) rows of the whole sequence.
        """
        if self.num_ranks == 1:
            return kept
        parts = [torch.empty_like(kept) for _ in range(self.num_ranks)]
        dist.all_gather(parts, kept.contiguous(), self.group)
        return torch.cat([part + rank * num_rows for rank, part in enumerate(parts)], 1)


WHOLE = Shards()
"""All tokens are here."""


def shards_of(model: nn.Module) -> Shards:
    """Return how a transformer's tokens are shared at present."""
    config = _context_config(model)
    if config is None:
        return WHOLE
    mesh = config._flattened_mesh
    return Shards(
        num_ranks=mesh.size(),
        group=mesh.get_group(),
        uneven=config.ulysses_anything or config.ring_anything,
        ring=config.ring_degree > 1,
    )


def _context_config(model: nn.Module) -> Any:
    parallel = getattr(model, "_parallel_config", None)
    return getattr(parallel, "context_parallel_config", None)


def check_parallel(model: nn.Module, reduction: Reduction, predicts_scores: bool) -> None:
    """Raise where a technique cannot work on a model that is spread over processes.

    Raises:
        UnsupportedModelError: Names the technique and the way of spreading.
    """
    parallel = getattr(model, "_parallel_config", None)
    if getattr(parallel, "tensor_parallel_config", None) is not None:
        raise UnsupportedModelError(
            f"{type(model).__name__} must not be tensor-parallel: each rank holds a part of every "
            "layer (context parallelism works)"
        )
    if parallel is None:
        return
    shards = shards_of(model)
    inside = "the attention product of each rank holds all rows and some heads"
    if predicts_scores:
        raise UnsupportedModelError(f"EagerPrediction must run on one device: {inside}")
    if reduction.funnel is not None:
        raise UnsupportedModelError(f"AsymRnR must run on one device: {inside}")
    if shards.uneven:
        raise UnsupportedModelError(
            "context parallelism must give every rank as many tokens for tenuto: switch "
            "`ulysses_anything` and `ring_anything` off"
        )
    is_partial = any(0 < ratio < 1 for ratio in reduction.schedule.ratios())
    if shards.ring and is_partial and "self" in reduction.parts:
        raise UnsupportedModelError(
            "tokens must not be reduced in attentions under ring attention: use "
            "`ulysses_degree`, or a scope without attention, or ratio=1"
        )


class SplitHooks:
    """diffusers' hooks that split a block's inputs, moved out of the way and back.

    Ours must lie inside them: a block's place sees one rank's rows, before and after the block.
    """

    def __init__(self, model: nn.Module) -> None:
        """Take the model; nothing is moved yet."""
        self._model = model
        self._lifted: list[tuple[Any, str, Any]] = []

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Keep them out of the way inside a with block."""
        self.lift()
        try:
            yield
        finally:
            self.put_back()

    def lift(self) -> None:
        """Take off the splitting hooks, and whatever lies above them, outermost first."""
        for module in self._model.modules():
            registry = module.__dict__.get("_diffusers_hook")
            if registry is None or module is self._model:
                continue
            names = list(registry._hook_order)
            lowest = next((i for i, n in enumerate(names) if _splits(registry.hooks[n])), None)
            for name in reversed(names[lowest:] if lowest is not None else []):
                self._lifted.append((registry, name, registry.hooks[name]))
                registry.remove_hook(name, recurse=False)

    def put_back(self) -> None:
        """Put back what was taken off, in its old order."""
        while self._lifted:
            registry, name, hook = self._lifted.pop()
            registry.register_hook(hook, name)


def _splits(hook: Any) -> bool:
    return type(hook).__name__ in ("ContextParallelSplitHook", "ContextParallelGatherHook")
