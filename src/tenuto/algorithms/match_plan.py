"""Which tokens are computed, and which computed token stands for each of the others."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tenuto.algorithms.shapes import Float, Int
from tenuto.algorithms.soft_merge import SoftMerge


@dataclass(frozen=True, slots=True, eq=False)
class MatchPlan:
    """A partition of the tokens of each sample: kept ones, and reduced ones with their partners.

    Every token is in exactly one of ``keep`` and ``src``; every ``dst`` is in ``keep``. The counts
    are the same for every sample, so that shapes stay static.

    Attributes:
        keep: Token indices that are computed, int64; any order, gathers follow it.
        src: Token indices that are not computed, int64, the most similar to its partner first.
        dst: The kept token that stands for each of ``src``, int64.
        further: Kept tokens that stand for each of ``src`` beside ``dst``, with the same weight.
        soft: Weights by which kept rows are made of all tokens and all tokens of kept rows; then
            ``dst`` only names the largest. None where a token has partners instead.
    """

    keep: Int[Tensor, "batch kept"]
    src: Int[Tensor, "batch reduced"]
    dst: Int[Tensor, "batch reduced"]
    further: Int[Tensor, "batch reduced others"] | None = None
    soft: SoftMerge | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens of one sample."""
        return self.keep.shape[1] + self.src.shape[1]

    @property
    def ratio(self) -> float:
        """Share of the tokens that is not computed, 0..1."""
        return self.src.shape[1] / self.num_tokens

    def with_dtype(self, dtype: torch.dtype) -> "MatchPlan":
        """Return the plan with indices of another integer type."""
        return replace(
            self, keep=self.keep.to(dtype), src=self.src.to(dtype), dst=self.dst.to(dtype)
        )

    def narrowed(self, num_reduced: int) -> "MatchPlan":
        """Return the plan that reduces only the first `num_reduced` of ``src``.

        Raises:
            ValueError: `num_reduced` is more than this plan reduces, or less with soft weights.
        """
        if num_reduced == self.src.shape[1]:
            return self
        if self.soft is not None:
            raise ValueError(
                f"`num_reduced` must be {self.src.shape[1]} in a plan with soft weights, got "
                f"{num_reduced!r}"
            )
        if not 0 <= num_reduced <= self.src.shape[1]:
            raise ValueError(
                f"`num_reduced` must be in [0, {self.src.shape[1]}], got {num_reduced!r}"
            )
        kept_again = self.src[:, num_reduced:]
        return MatchPlan(
            keep=torch.cat([self.keep, kept_again], 1).sort(dim=1).values,
            src=self.src[:, :num_reduced],
            dst=self.dst[:, :num_reduced],
            further=None if self.further is None else self.further[:, :num_reduced],
        )

    def slots(self, dst: Int[Tensor, "batch reduced"] | None = None) -> Int[Tensor, "batch tokens"]:
        """Return, for each token, the position in ``keep`` of itself or of its partner.

        Args:
            dst: The partners; None is ``dst``.

        >>> plan = MatchPlan(torch.tensor([[0, 2]]), torch.tensor([[1]]), torch.tensor([[2]]))
        >>> plan.slots().tolist()
        [[0, 1, 1]]
        """
        positions = torch.arange(self.keep.shape[1], device=self.keep.device)
        slots = self.keep.new_empty(self.keep.shape[0], self.num_tokens)
        slots.scatter_(1, self.keep, positions.expand_as(self.keep))
        return slots.scatter(1, self.src, slots.gather(1, self.dst if dst is None else dst))

    def tensors(self) -> Iterator[Tensor]:
        """Go through everything that the plan holds."""
        yield from (self.keep, self.src, self.dst)
        if self.further is not None:
            yield self.further
        if self.soft is not None:
            yield from self.soft.tensors()


def merge_into_destinations(
    tokens: Float[Tensor, "batch tokens channels"], plan: MatchPlan, *, keeps_norm: bool = False
) -> Float[Tensor, "batch tokens channels"]:
    """Replace each destination by the mean of itself and the tokens that it stands for.

    Args:
        tokens: Any real values.
        plan: Who stands for whom.
        keeps_norm: Stretch each mean to the largest norm among the tokens that went into it.

    Returns:
        A new tensor; rows that are nobody's destination are unchanged.

    Source: ToMe (arXiv 2303.17604), section 4.1: the averaging merge; rows keep their places here.
    `keeps_norm`: the MLERP merge of ToFu (arXiv 2312.01026), our reconstruction of its formula.

    >>> plan = MatchPlan(torch.tensor([[0, 2]]), torch.tensor([[1]]), torch.tensor([[2]]))
    >>> merge_into_destinations(torch.tensor([[[1.0], [2.0], [4.0]]]), plan).flatten().tolist()
    [1.0, 2.0, 3.0]
    >>> merge_into_destinations(
    ...     torch.tensor([[[1.0], [2.0], [4.0]]]), plan, keeps_norm=True).flatten().tolist()
    [1.0, 2.0, 4.0]
    """
    flat = tokens.reshape(-1, tokens.shape[-1])
    sources, destinations = (flat_rows(index, tokens.shape[1]) for index in (plan.src, plan.dst))
    total = flat.index_add(0, destinations, flat.index_select(0, sources))
    ones = torch.ones(len(sources), dtype=tokens.dtype, device=tokens.device)
    members = torch.ones(len(flat), dtype=tokens.dtype, device=tokens.device)
    means = total / members.index_add(0, destinations, ones)[:, None]
    if keeps_norm:
        norms = flat.norm(dim=-1)
        largest = norms.scatter_reduce(0, destinations, norms.index_select(0, sources), "amax")
        now = means.norm(dim=-1)
        # A mean of length 0 has no direction to stretch.
        means = means * torch.where(now > 0, largest / now, 1)[:, None]
    return means.view_as(tokens)


def flat_rows(index: Int[Tensor, "batch picked"], num_rows: int) -> Int[Tensor, " rows"]:
    """Return row indices of each sample as indices into the flattened (batch * rows) axis.

    >>> flat_rows(torch.tensor([[0, 2], [1, 0]]), 3).tolist()
    [0, 2, 4, 3]
    """
    offsets = torch.arange(index.shape[0], device=index.device)[:, None] * num_rows
    return (index + offsets).flatten()
