"""Merge and unmerge tokens by two small matrix products a tile, as ToMA does."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tenuto.algorithms.shapes import Float, Int


@dataclass(frozen=True, slots=True, eq=False)
class SoftMerge:
    """How much of each token every kept row of its tile holds.

    Attributes:
        members: Tokens of each tile; every token is in exactly one, int64.
        weights: Share of each token that goes to each kept row of its tile; the shares of a token
            add up to 1.

    Source: ToMA (arXiv 2509.10918) and its released code: merged rows are averages, so each row of
    the merge matrix is divided by its sum; the unmerge matrix is the transpose before that.
    """

    members: Int[Tensor, "tiles members"]
    weights: Float[Tensor, "batch tiles kept members"]

    def merge(
        self, tokens: Float[Tensor, "batch tokens channels"]
    ) -> Float[Tensor, "batch rows channels"]:
        """Return the kept rows, tile by tile: weighted averages of all tokens of the tile."""
        weights = self.weights / self.weights.sum(-1, keepdim=True)
        rows = weights.to(tokens.dtype) @ tokens[:, self.members]  # (batch, tiles, kept, channels)
        return rows.flatten(1, 2)

    def unmerge(
        self, rows: Float[Tensor, "batch rows channels"]
    ) -> Float[Tensor, "batch tokens channels"]:
        """Return all tokens: each is the sum of its shares in the kept rows."""
        by_tile = rows.unflatten(1, self.weights.shape[1:3])
        spread = (self.weights.mT.to(rows.dtype) @ by_tile).flatten(1, 2)
        tokens = torch.empty_like(spread)
        return tokens.index_copy_(1, self.members.flatten(), spread)

    def macs(self, channels: int) -> int:
        """Multiply-accumulates of one merge, or of one unmerge, for the whole batch."""
        return self.weights.numel() * channels

    def tensors(self) -> Iterator[Tensor]:
        """Go through what is held."""
        yield from (self.members, self.weights)
