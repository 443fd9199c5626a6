"""SiTo: keep a well-connected token of each patch, prune others, copy the most similar kept one."""

from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.matching import (
    best_of_windows,
    check_reducible,
    complement,
    matching_macs,
    reduce_best,
    window_members,
)
from tenuto.algorithms.nearest import nearest
from tenuto.algorithms.reduction import Reduction, parts_of_scope
from tenuto.algorithms.schedule import Constant
from tenuto.algorithms.settings import are_lengths, check_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SiTo:
    """Similarity-based token pruning, at this project's hook sites.

    At every block and step, on the block's input: each token's SimScore is the sum of its cosines
    to all tokens, plus a little noise; the best token of each patch is a base and is kept; the
    tokens most similar to a base are pruned; a pruned token copies the output of the most similar
    token among all that are kept.

    Attributes:
        ratio: Share of the image tokens that is pruned, in [0, 1); 0 is off.
        scope: What is reduced, as in `DiTo`.
        patch: Tokens of a patch along each grid axis; None is 2 along each.
        noise: Standard deviation of the noise, in cosine units, >= 0.
        seed: Of the noise, in [0, 2**32); it has a generator of its own.

    Raises:
        ValueError: A value is out of its range.

    Source: SiTo (Zhang et al., AAAI 2025) and its released code, with that code's example ratio
    and noise. Differs in: float32 instead of float16 similarities; one noise for all samples of a
    batch and both guidance branches, so that a sample's result does not depend on its batch;
    video patches have three axes.
    """

    ratio: float = 0.7
    scope: tuple[str, ...] = ("self",)
    patch: tuple[int, ...] | None = None
    noise: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self, (
            ("ratio", "in [0, 1)", 0 <= self.ratio < 1),
            ("patch", "None or integers of at least 1", are_lengths(self.patch)),
            ("noise", "at least 0", self.noise >= 0),
            ("seed", "an integer in [0, 2**32)", 0 <= self.seed < 2**32),
        ))  # fmt: skip
        parts_of_scope(self.scope)

    @classmethod
    def paper(cls) -> "SiTo":
        """Return the example of the released code: 70 % pruned, self-attention only."""
        return cls()

    @classmethod
    def neutral(cls) -> "SiTo":
        """Return the setting that is bit-identical to the untouched pipeline."""
        return cls(ratio=0.0)

    def reduction(self) -> Reduction:
        """Return what the engine does."""
        return Reduction(
            schedule=Constant(ratio=self.ratio),
            parts=parts_of_scope(self.scope),
            keys="kept",
            guide="input",
            matcher=SiToMatcher(patch=self.patch, noise=self.noise, seed=self.seed),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SiToMatcher:
    """SiTo's pairs; fields as in `SiTo`.

    >>> line = torch.tensor([[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.7]]])
    >>> plan = SiToMatcher(patch=(2,), noise=0.0, seed=0).match(line, (4,), 0.5, 0)
    >>> plan.keep.tolist(), plan.src.tolist(), plan.dst.tolist()
    ([[1, 3]], [[0, 2]], [[1, 3]])
    """

    patch: tuple[int, ...] | None
    noise: float
    seed: int

    def check(self, grid: tuple[int, ...], ratio: float) -> None:
        """Raise ValueError where the patch does not fit the grid or leaves too few tokens."""
        check_reducible(prod(grid), grid, self._patch(grid), ratio)

    def match(self, features: Tensor, grid: tuple[int, ...], ratio: float, draw: int) -> MatchPlan:
        """Return the plan; see `SiTo`. Ties go to the lowest index."""
        num_reduced = check_reducible(features.shape[1], grid, self._patch(grid), ratio)
        units = torch.nn.functional.normalize(features.float(), dim=-1)
        scores = (units @ units.sum(1, keepdim=True).mT)[..., 0] + self._drawn(units, draw)
        members = window_members(grid, self._patch(grid), features.device)
        bases = best_of_windows(scores, members)
        src = complement(bases, features.shape[1])
        best, partner = nearest(units, units, src, bases)
        dst = bases.gather(1, partner[..., 0])
        plan = reduce_best(best[..., 0], src, dst, num_reduced, features.shape[1])
        _, partner = nearest(units, units, plan.src, plan.keep)
        return replace(plan, dst=plan.keep.gather(1, partner[..., 0]))

    def macs(self, grid: tuple[int, ...], ratio: float, channels: int) -> int:
        """Return the multiply-accumulates of one sample: scores, nearest bases, nearest kept."""
        num_tokens, patch = prod(grid), self._patch(grid)
        num_reduced = check_reducible(num_tokens, grid, patch, ratio)
        bases = matching_macs(num_tokens, len(window_members(grid, patch)), channels, densest=True)
        return bases + num_reduced * (num_tokens - num_reduced) * channels

    def _patch(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        return self.patch or (2,) * len(grid)

    def _drawn(self, units: Tensor, draw: int) -> Tensor:
        """Return the noise of one matching, (tokens,), the same for every sample and device."""
        generator = torch.Generator().manual_seed(self.seed * 2**31 + draw)
        noise = torch.randn(units.shape[1], generator=generator)
        return self.noise * noise.to(units.device)
