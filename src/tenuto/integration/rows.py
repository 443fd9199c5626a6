"""A match plan as flat row numbers, ready to gather and scatter with."""

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from tenuto.algorithms.match_plan import MatchPlan


class PlanRows:
    """The flat row numbers of one plan; built on first use and kept as long as the plan.

    "Flat" counts over (batch * rows). Sequences may hold text rows, which are always kept: before
    the image rows when `text_first`, else after them.
    """

    def __init__(self, plan: MatchPlan) -> None:
        """Take the plan; nothing is computed yet."""
        self.plan = plan
        self._kept: dict[tuple[int, bool, int | None], Tensor] = {}

    @cached_property
    def slots(self) -> Tensor:
        """For each image token, the flat kept row of itself or its partner; kept rows are image.

        With several partners, one such row of numbers for each.
        """
        plan = self.plan
        batch, num_kept = plan.keep.shape
        offsets = torch.arange(batch, device=plan.keep.device)[:, None] * num_kept
        nearest = (plan.slots() + offsets).flatten()
        if plan.further is None:
            return nearest
        others = [(plan.slots(dst) + offsets).flatten() for dst in plan.further.unbind(-1)]
        return torch.stack([nearest, *others])

    def kept(self, num_text: int = 0, text_first: bool = True, sample: int | None = None) -> Tensor:
        """Flat rows of the kept image tokens and of all text rows, text where it stands.

        Args:
            num_text: Text rows of the sequence.
            text_first: They stand before the image rows, else after them.
            sample: Count the rows of this sample alone; None for all samples together.
        """
        key = (num_text, text_first, sample)
        if key not in self._kept:
            keep, total = self.plan.keep, self.plan.num_tokens + num_text
            keep = keep if sample is None else keep[sample : sample + 1]
            if num_text:
                start = 0 if text_first else self.plan.num_tokens
                text = torch.arange(start, start + num_text, device=keep.device)
                text = text.expand(keep.shape[0], -1)
                keep = keep + num_text if text_first else keep
                keep = torch.cat([text, keep] if text_first else [keep, text], 1)
            offsets = torch.arange(keep.shape[0], device=keep.device)[:, None] * total
            self._kept[key] = (keep + offsets).flatten()
        return self._kept[key]

    def tensors(self) -> Iterator[Tensor]:
        """Go through the plan and the row numbers made from it so far."""
        yield from self.plan.tensors()
        yield from self._kept.values()
        if "slots" in self.__dict__:
            yield self.slots


def gather_sequence(tensor: Tensor, flat_rows: Tensor) -> Tensor:
    """Gather sequence rows of a (batch, heads, rows, head_dim) tensor, the same count a sample.

    Keeps whichever of the two usual memory layouts the tensor has.
    """
    batch, heads, rows, head_dim = tensor.shape
    by_row = tensor.transpose(1, 2)
    if by_row.is_contiguous() or batch > 1:
        picked = by_row.reshape(batch * rows, heads * head_dim).index_select(0, flat_rows)
        return picked.view(batch, -1, heads, head_dim).transpose(1, 2)
    return tensor.index_select(2, flat_rows)


def scatter_sequence(kept: Tensor, flat_rows: Tensor, num_rows: int) -> Tensor:
    """Put kept rows of a (batch, heads, kept, head_dim) tensor back among zeros."""
    batch, heads, _, head_dim = kept.shape
    full = kept.new_zeros(batch * num_rows, heads * head_dim)
    full.index_copy_(0, flat_rows, kept.transpose(1, 2).reshape(-1, heads * head_dim))
    return full.view(batch, num_rows, heads, head_dim).transpose(1, 2)


def gather_mask(mask: Tensor, index: Tensor, num_rows: int, keys_too: bool) -> Tensor:
    """Return a mask's rows of the kept queries, and its columns of the kept keys.

    Args:
        mask: (batch or 1, heads or 1, rows or 1, keys).
        index: (batch, kept) rows of the kept queries.
        num_rows: All queries.
        keys_too: Keys are those of the kept queries.
    """
    mask = mask.expand(index.shape[0], *mask.shape[1:])
    if mask.shape[2] == num_rows:
        mask = mask.gather(2, index[:, None, :, None].expand(-1, mask.shape[1], -1, mask.shape[3]))
    if keys_too:
        mask = mask.gather(3, index[:, None, None, :].expand(-1, mask.shape[1], mask.shape[2], -1))
    return mask
