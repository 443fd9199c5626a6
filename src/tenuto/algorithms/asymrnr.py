"""AsymRnR: reduce queries apart from keys and values, each on its own similarity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.matching import (
    check_reducible,
    complement,
    reduce_best,
    window_members,
)
from tenuto.algorithms.nearest import nearest
from tenuto.algorithms.reduction import Funnel, Reduction
from tenuto.algorithms.schedule import Constant, Larger, Table
from tenuto.algorithms.settings import are_lengths, check_settings

Ratio = float | tuple[float | tuple[float, ...], ...]
"""One ratio for all steps and blocks, or a table: one a step, or one a block of that step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsymRnR:
    """Asymmetric reduction and restoration, at this project's hook sites.

    In self-attention, after norms and position embeddings: queries are matched on queries, keys
    and values together on values, by squared Euclidean distance to one random token of each box.
    Reduced rows are left out of the attention product; the output of a reduced query is its
    partner's. All projections stay dense.

    Attributes:
        query_ratio: Share of the query rows left out, in [0, 1); 0 is off. One number for all
            steps and blocks, or a table with an entry a step: a number, or one number a block.
            Steps past the end of a table are dense. `ratios_from_tiers` makes such tables.
        key_ratio: The same for keys and values.
        stride: Tokens of a box along each grid axis; None is 2 along each.
        reuse_steps: Pairs live until the next step that is a multiple of this, >= 1.
        per_head: Every head has pairs of its own; else pairs are made on all heads together.
        seed: Of the random tokens, in [0, 2**32); they have a generator of their own.

    Raises:
        ValueError: A value is out of its range.

    Source: AsymRnR (arXiv 2412.11706, ICML 2025) and its released code. Differs in: the released
    tables, which say by measured similarity where to reduce, belong to other models, so `paper`
    is *flat*: their mean ratios in every block and step; a reduced row is dropped, never averaged
    into its partner; the released code's third feature, the attention's input, is left out;
    ``int(ratio * tokens)`` rows are reduced, as everywhere here; tokens outside complete boxes lie
    at the end of an axis.
    """

    query_ratio: Ratio = 0.176
    key_ratio: Ratio = 0.09
    stride: tuple[int, ...] | None = None
    reuse_steps: int = 5
    per_head: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("query_ratio", "key_ratio"):
            if not all(0 <= ratio < 1 for ratio in _schedule(getattr(self, name)).ratios()):
                raise ValueError(f"`{name}` must be in [0, 1), got {getattr(self, name)!r}")
        check_settings(self, (
            ("stride", "None or integers of at least 1", are_lengths(self.stride)),
            ("reuse_steps", "at least 1", self.reuse_steps >= 1),
            ("seed", "an integer in [0, 2**32)", 0 <= self.seed < 2**32),
        ))  # fmt: skip

    @classmethod
    def paper(cls) -> "AsymRnR":
        """Return the released base setting for CogVideoX-2B, its table flattened to its means."""
        return cls()

    @classmethod
    def neutral(cls) -> "AsymRnR":
        """Return the setting that is bit-identical to the untouched pipeline."""
        return cls(query_ratio=0.0, key_ratio=0.0)

    def reduction(self) -> Reduction:
        """Return what the engine does."""
        queries, keys = _schedule(self.query_ratio), _schedule(self.key_ratio)
        return Reduction(
            schedule=Larger(queries, keys),
            parts=frozenset({"self"}),
            keys="all",
            matcher=EuclideanMatcher(stride=self.stride, seed=self.seed),
            reuse_steps=self.reuse_steps,
            funnel=Funnel(queries=queries, keys=keys, per_head=self.per_head),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EuclideanMatcher:
    """AsymRnR's pairs; fields as in `AsymRnR`.

    >>> line = torch.tensor([[[0.0], [1.0], [5.0], [9.0]]])
    >>> plan = EuclideanMatcher(stride=(2,), seed=0).match(line, (4,), 0.25, 0)
    >>> plan.keep.shape, plan.src.shape
    (torch.Size([1, 3]), torch.Size([1, 1]))
    """

    stride: tuple[int, ...] | None
    seed: int

    def check(self, grid: tuple[int, ...], ratio: float) -> None:
        """Raise ValueError where the box does not fit the grid or leaves too few tokens."""
        check_reducible(prod(grid), grid, self._stride(grid), ratio)

    def match(self, features: Tensor, grid: tuple[int, ...], ratio: float, draw: int) -> MatchPlan:
        """Return the plan that drops the tokens nearest to a box's token; ties to the lowest index.

        One product gives minus the squared distances: ``[2x, -|x|^2, -1] . [y, 1, |y|^2]``.
        """
        num_reduced = check_reducible(features.shape[1], grid, self._stride(grid), ratio)
        members = window_members(grid, self._stride(grid))
        generator = torch.Generator().manual_seed(self.seed * 2**31 + draw)
        winner = torch.randint(members.shape[1], (len(members), 1), generator=generator)
        dst = members.gather(1, winner)[:, 0].sort().values.to(features.device)
        dst = dst.expand(len(features), -1)
        src = complement(dst, features.shape[1])
        x = features.float()
        norms, ones = x.square().sum(-1, keepdim=True), torch.ones_like(x[..., :1])
        queries, keys = torch.cat([2 * x, -norms, -ones], -1), torch.cat([x, ones, norms], -1)
        best, partner = nearest(queries, keys, src, dst)
        partner = dst.gather(1, partner[..., 0])
        return reduce_best(best[..., 0], src, partner, num_reduced, features.shape[1])

    def macs(self, grid: tuple[int, ...], ratio: float, channels: int) -> int:
        """Return the multiply-accumulates of one sample: all distances to the boxes' tokens."""
        num_boxes = prod(g // s for g, s in zip(grid, self._stride(grid), strict=True))
        return (prod(grid) - num_boxes) * num_boxes * (channels + 2)

    def _stride(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        return self.stride or (2,) * len(grid)


def ratios_from_tiers(
    tiers: Sequence[Sequence[int]], ratio_of_tier: Mapping[int, float]
) -> tuple[tuple[float, ...], ...]:
    """Return the table of ratios for measured tiers of similarity.

    Args:
        tiers: For each step, the tier of each block; higher is more similar.
        ratio_of_tier: Lowest tier from which on a ratio holds; the largest that applies is taken,
            0 where none does.

    Source: the released schedules and settings of AsymRnR, e.g. {6: 0.4, 7: 0.8} for the queries
    of CogVideoX-2B.

    >>> ratios_from_tiers([[5, 6], [7, 9]], {6: 0.4, 7: 0.8})
    ((0.0, 0.4), (0.8, 0.8))
    """
    return tuple(
        tuple(max((r for t, r in ratio_of_tier.items() if t <= tier), default=0.0) for tier in row)
        for row in tiers
    )


def _schedule(ratio: Ratio) -> Constant | Table:
    if isinstance(ratio, tuple):
        return Table(ratio, needs_dense_start=False)
    return Constant(ratio=ratio)
