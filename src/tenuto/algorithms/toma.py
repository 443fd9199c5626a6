"""ToMA: choose destinations that cover their tile, merge and unmerge by matrix products."""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.matching import complement, num_reduced_of, window_members
from tenuto.algorithms.reduction import Reduction, parts_of_scope
from tenuto.algorithms.schedule import FromDepth
from tenuto.algorithms.settings import check_settings
from tenuto.algorithms.shapes import Float, Int
from tenuto.algorithms.soft_merge import SoftMerge

_TIE = 1e-4
"""Gains that differ by less, in cosine units, are equal: two tokens that would cover each other
gain the same, and rounding, which depends on the batch, must not choose between them."""

_LARGEST_DEFAULT_TILE = 4
"""Tokens along each axis; the released code cuts 64 x 64 tokens into 256 tiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToMA:
    """Token merge with attention, at this project's hook sites.

    In every tile of the token grid a greedy facility location picks the destinations that together
    are most similar to all tokens of the tile. Each token is shared out among them by a softmax of
    its cosines; the module runs on the averages, and each token's output is put together again by
    the same shares (`SoftMerge`). Pairs are made on the input of the first reduced block of a kind
    and serve all blocks of that kind.

    Attributes:
        ratio: Share of the image tokens that is merged away, in [0, 1); 0 is off. Every tile keeps
            the same whole number of tokens, rounded down, at least 1.
        interval: Merge at every n-th step from the first on, >= 1; the others are dense.
        depth: Share of the blocks, counted from the first, that stay dense, in [0, 1].
        scope: What is reduced, as in `DiTo`.
        tile: Tokens of a tile along each grid axis, whose divisors they must be; None is the
            largest of at most 4 along each.
        scale: Factor on the cosines before the softmax, > 0.
        reuse_steps: Pairs live until the next step that is a multiple of this, >= 1.
        shared: Blocks of a kind share their pairs; else, and in a UNet, whose blocks have token
            grids of their own, each block makes its own.

    Raises:
        ValueError: A value is out of its range.

    Source: ToMA (arXiv 2509.10918) and its released code for Flux, whose values are the defaults:
    19 double and 5 single of 57 blocks dense, every third step merged. Differs in: destinations
    are chosen for each sample instead of the batch's first; similarity is measured on a block's
    input before its norm; merged rows stand at their destination's place for the position
    embeddings, as there; the first single block's matrices are rebuilt at each merged step, as
    there, and `reuse_steps` keeps them longer, as the paper does for other models.
    """

    ratio: float = 0.5
    interval: int = 3
    depth: float = 24 / 57
    scope: tuple[str, ...] = ("self", "ffn")
    tile: tuple[int, ...] | None = None
    scale: float = 1000.0
    reuse_steps: int = 1
    shared: bool = True

    def __post_init__(self) -> None:
        check_settings(self, (
            ("ratio", "in [0, 1)", 0 <= self.ratio < 1),
            ("interval", "at least 1", self.interval >= 1),
            ("depth", "in [0, 1]", 0 <= self.depth <= 1),
            ("tile", "None or integers of at least 1",
             self.tile is None or min(self.tile, default=0) >= 1),
            ("scale", "more than 0", self.scale > 0),
            ("reuse_steps", "at least 1", self.reuse_steps >= 1),
        ))  # fmt: skip
        parts_of_scope(self.scope)

    @classmethod
    def paper(cls) -> "ToMA":
        """Return the released setting for Flux, its shares of blocks kept on other models."""
        return cls()

    @classmethod
    def neutral(cls) -> "ToMA":
        """Return the setting that is bit-identical to the untouched pipeline."""
        return cls(ratio=0.0)

    def reduction(self) -> Reduction:
        """Return what the engine does."""
        return Reduction(
            schedule=FromDepth(ratio=self.ratio, interval=self.interval, depth=self.depth),
            parts=parts_of_scope(self.scope),
            keys="kept",
            guide="input",
            matcher=ToMAMatcher(tile=self.tile, scale=self.scale),
            reuse_steps=self.reuse_steps,
            shared_pairs=self.shared,
            merge=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToMAMatcher:
    """ToMA's destinations and weights; fields as in `ToMA`."""

    tile: tuple[int, ...] | None
    scale: float

    def check(self, grid: tuple[int, ...], ratio: float) -> None:
        """Raise ValueError where the tile does not divide the grid."""
        tile = self._tile(grid)
        if len(tile) != len(grid) or any(g % t for g, t in zip(grid, tile, strict=False)):
            raise ValueError(f"`tile` must divide the token grid {grid}, got {tile}")

    def match(self, features: Tensor, grid: tuple[int, ...], ratio: float, draw: int) -> MatchPlan:
        """Return the plan and its soft weights; see `ToMA`. Ties go to the lowest index."""
        del draw
        self.check(grid, ratio)
        num_tokens = features.shape[1]
        members = window_members(grid, self._tile(grid), features.device)
        units = torch.nn.functional.normalize(features.float(), dim=-1)[:, members]
        similarity = units @ units.mT  # (batch, tiles, members, members)
        chosen = cover_greedily(similarity.flatten(0, 1), self._num_kept(grid, ratio))
        chosen = chosen.unflatten(0, similarity.shape[:2]).sort(-1).values
        rows = similarity.gather(2, chosen[..., None].expand(-1, -1, -1, members.shape[1]))
        weights = (rows * self.scale).softmax(2)  # (batch, tiles, kept, members)
        kept = members.expand(len(features), -1, -1).gather(2, chosen)
        owners = features.new_empty(len(features), num_tokens, dtype=torch.int64)
        owners[:, members.flatten()] = kept.gather(2, weights.argmax(2)).flatten(1)
        src = complement(kept.flatten(1), num_tokens)
        return MatchPlan(
            keep=kept.flatten(1),
            src=src,
            dst=owners.gather(1, src),
            soft=SoftMerge(members, weights),
        )

    def macs(self, grid: tuple[int, ...], ratio: float, channels: int) -> int:
        """Return the multiply-accumulates of one sample: all similarities inside the tiles."""
        return prod(grid) * prod(self._tile(grid)) * channels

    def _tile(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        sizes = range(1, _LARGEST_DEFAULT_TILE + 1)
        return self.tile or tuple(max(n for n in sizes if axis % n == 0) for axis in grid)

    def _num_kept(self, grid: tuple[int, ...], ratio: float) -> int:
        """Return the tokens that each tile keeps."""
        num_tokens, num_tiles = prod(grid), prod(grid) // prod(self._tile(grid))
        return max(1, (num_tokens - num_reduced_of(num_tokens, ratio)) // num_tiles)


def cover_greedily(
    similarity: Float[Tensor, "tiles members members"], num_chosen: int
) -> Int[Tensor, "tiles chosen"]:
    """Choose the tokens that cover their tile best, one after the other.

    The first has the highest sum of similarities; each next one adds the most to the sum, over all
    tokens, of the similarity to the nearest chosen one.

    Args:
        similarity: Symmetric, any real values.
        num_chosen: In [1, members].

    Returns:
        Positions in the order of choice, no position twice; ties (to 1e-4) go to the lowest.

    Source: ToMA (arXiv 2509.10918): greedy facility location, which is submodular.

    >>> cover_greedily(torch.tensor([[[1.0, 0.9, 0.0], [0.9, 1.0, 0.1], [0.0, 0.1, 1.0]]]), 2)
    tensor([[1, 2]])
    """
    gains = similarity.sum(-1)
    covered = torch.full_like(gains, -torch.inf)
    is_chosen = torch.zeros_like(gains, dtype=torch.bool)
    order = []
    for _ in range(num_chosen):
        gains = gains.masked_fill(is_chosen, -torch.inf)
        is_best = gains >= gains.amax(-1, keepdim=True) - _TIE
        best = is_best.int().argmax(-1, keepdim=True)
        order.append(best)
        is_chosen = is_chosen.scatter(1, best, True)
        row = similarity.gather(1, best[..., None].expand(-1, -1, similarity.shape[2]))[:, 0]
        covered = torch.maximum(covered, row)
        gains = (similarity - covered[:, None]).clamp_min(0).sum(-1)
    return torch.cat(order, 1)
