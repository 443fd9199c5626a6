"""Which tokens are computed, and which computed token stands for each of the others."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tenuto.algorithms.shapes import Float, Int


@dataclass(frozen=True, slots=True, eq=False)
class MatchPlan:
    """A partition of the tokens of each sample: kept ones, and reduced ones with their partners.

    Every token is in exactly one of ``keep`` and ``src``; every ``dst`` is in ``keep``. The counts
    are the same for every sample, so that shapes stay static.

    Attributes:
        keep: Token indices that are computed, int64; any order, gathers follow it.
        src: Token indices that are not computed, int64, the most similar to its partner first.
        dst: The kept token that stands for each of ``src``, int64.
    """

    keep: Int[Tensor, "batch kept"]
    src: Int[Tensor, "batch reduced"]
    dst: Int[Tensor, "batch reduced"]

    @property
    def num_tokens(self) -> int:
        """Tokens of one sample."""
        return self.keep.shape[1] + self.src.shape[1]

    @property
    def ratio(self) -> float:
        """Share of the tokens that is not computed, 0..1."""
        return self.src.shape[1] / self.num_tokens

    def narrowed(self, num_reduced: int) -> "MatchPlan":
        """Return the plan that reduces only the first `num_reduced` of ``src``.

        Raises:
            ValueError: `num_reduced` is more than this plan reduces.
        """
        if not 0 <= num_reduced <= self.src.shape[1]:
            raise ValueError(
                f"`num_reduced` must be in [0, {self.src.shape[1]}], got {num_reduced!r}"
            )
        kept_again = self.src[:, num_reduced:]
        return MatchPlan(
            keep=torch.cat([self.keep, kept_again], 1).sort(dim=1).values,
            src=self.src[:, :num_reduced],
            dst=self.dst[:, :num_reduced],
        )

    def slots(self) -> Int[Tensor, "batch tokens"]:
        """Return, for each token, the position in ``keep`` of itself or of its partner.

        >>> plan = MatchPlan(torch.tensor([[0, 2]]), torch.tensor([[1]]), torch.tensor([[2]]))
        >>> plan.slots().tolist()
        [[0, 1, 1]]
        """
        positions = torch.arange(self.keep.shape[1], device=self.keep.device)
        slots = self.keep.new_empty(self.keep.shape[0], self.num_tokens)
        slots.scatter_(1, self.keep, positions.expand_as(self.keep))
        return slots.scatter(1, self.src, slots.gather(1, self.dst))


def merge_into_destinations(
    tokens: Float[Tensor, "batch tokens channels"], plan: MatchPlan
) -> Float[Tensor, "batch tokens channels"]:
    """Replace each destination by the mean of itself and the tokens that it stands for.

    Args:
        tokens: Any real values.
        plan: Who stands for whom.

    Returns:
        A new tensor; rows that are nobody's destination are unchanged.

    Source: ToMe (arXiv 2303.17604), section 4.1: the averaging merge; rows keep their places here.

    >>> plan = MatchPlan(torch.tensor([[0, 2]]), torch.tensor([[1]]), torch.tensor([[2]]))
    >>> merge_into_destinations(torch.tensor([[[1.0], [2.0], [4.0]]]), plan).flatten().tolist()
    [1.0, 2.0, 3.0]
    """
    flat = tokens.reshape(-1, tokens.shape[-1])
    sources, destinations = (flat_rows(index, tokens.shape[1]) for index in (plan.src, plan.dst))
    total = flat.index_add(0, destinations, flat.index_select(0, sources))
    ones = torch.ones(len(sources), dtype=tokens.dtype, device=tokens.device)
    members = torch.ones(len(flat), dtype=tokens.dtype, device=tokens.device)
    return (total / members.index_add(0, destinations, ones)[:, None]).view_as(tokens)


def flat_rows(index: Int[Tensor, "batch picked"], num_rows: int) -> Int[Tensor, " rows"]:
    """Return row indices of each sample as indices into the flattened (batch * rows) axis.

    >>> flat_rows(torch.tensor([[0, 2], [1, 0]]), 3).tolist()
    [0, 2, 4, 3]
    """
    offsets = torch.arange(index.shape[0], device=index.device)[:, None] * num_rows
    return (index + offsets).flatten()
