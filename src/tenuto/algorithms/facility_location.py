"""Choose destinations in many windows at once: greedy facility location under one budget a sample.

Equal to `tenuto.golden.datm.select_destinations`, by two facts. Gains within a window never grow,
so the choice of all windows together is the merge of each window's own greedy sequence; and a new
destination changes gains only through the tokens that it covers better, which soon are few.
"""

import torch
from torch import Tensor

from tenuto.algorithms.facility_location_kernel import IS_COMPILED, extend_windows
from tenuto.algorithms.shapes import Bool, Int

_ROUNDS_BETWEEN_CHECKS = 8
# Rows of similarities in work at once; they stay in a core's cache.
_CHUNK_ROWS = 2**11


def select_destinations(
    similarities: Int[Tensor, "windows members members"],
    num_members: Int[Tensor, " windows"],
    num_destinations: int,
    num_samples: int = 1,
) -> Bool[Tensor, "windows members"]:
    """Mark the destinations: the first of each window, then the best of all windows of a sample.

    Args:
        similarities: int16, 0..32767, symmetric; 0 in rows and columns that hold no token.
        num_members: Tokens of each window, at least one; they stand first in it.
        num_destinations: Of each sample, between its windows and its tokens.
        num_samples: Whose windows these are, one sample after the other, equally many each.

    Source: greedy facility location (Nemhauser, Wolsey and Fisher, 1978); the merge is ours.
    """
    num_windows, size = similarities.shape[:2]
    num_extra = num_destinations - num_windows // num_samples
    greedy = _GreedySequences(similarities, num_members)
    is_open = num_members > 0
    num_rounds = -(-num_destinations * num_samples // num_windows)
    while bool(is_open.any()):
        greedy.extend(is_open.nonzero()[:, 0], min(num_rounds, size - greedy.length))
        if num_extra == 0:
            break
        later = greedy.gains[:, 1:].reshape(num_samples, -1)
        least = later.kthvalue(later.shape[1] - num_extra + 1, dim=1).values
        # A window whose last gain is below what all have so far cannot add another choice.
        least = least.repeat_interleave(num_windows // num_samples)
        is_open &= (greedy.last >= least) & (num_members > greedy.length)
        num_rounds = _ROUNDS_BETWEEN_CHECKS
    return greedy.merged(num_extra, num_samples)


class _GreedySequences:
    """Each window's own greedy sequence, as far as it is known.

    Attributes:
        gains: (windows, members) gain of the k-th choice, -1 where there is none.
        positions: (windows, members) the choices.
        last: (windows,) gain of the last choice.
        length: Choices of the windows that were extended last.
    """

    def __init__(self, similarities: Tensor, num_members: Tensor) -> None:
        num_windows, size = similarities.shape[:2]
        device = similarities.device
        self._rows = similarities.view(num_windows * size, size)
        self._covered = similarities.new_zeros(num_windows, size)
        is_member = torch.arange(size, device=device) < num_members[:, None]
        self._gain = similarities.sum(1, dtype=torch.int32).masked_fill_(~is_member, -1)
        self.gains = torch.full_like(self._gain, -1)
        self.positions = torch.zeros(num_windows, size, dtype=torch.int64, device=device)
        self.last = self._gain.new_zeros(num_windows)
        self.length = 0
        self._is_compiled = IS_COMPILED and device.type == "cpu"

    def extend(self, windows: Tensor, num_rounds: int) -> None:
        """Let some windows choose again; a window without candidates notes a gain of -1."""
        if self._is_compiled:
            self._extend_compiled(windows, num_rounds)
            return
        size = self._covered.shape[1]
        # One number for the largest gain and, among equals, the lowest position.
        backwards = torch.arange(size - 1, -1, -1, device=windows.device)
        for _ in range(num_rounds):
            key = self._gain.index_select(0, windows).long().mul_(size).add_(backwards).amax(1)
            gain = key // size
            position = size - 1 - (key - gain * size)
            self.gains[windows, self.length] = gain.int()
            self.positions[windows, self.length] = position
            self.last[windows] = gain.int()
            self._cover(windows, position)
            self._gain[windows, position] = -1
            self.length += 1

    def _extend_compiled(self, windows: Tensor, num_rounds: int) -> None:
        """Do the same in compiled loops; the arrays share the tensors' memory."""
        size = self._covered.shape[1]
        written = (self._covered, self._gain, self.gains, self.positions, self.last)
        extend_windows()(
            self._rows.view(-1, size, size).numpy(),
            windows.numpy(),
            self.length,
            num_rounds,
            *(tensor.numpy() for tensor in written),
        )
        self.length += num_rounds

    def _cover(self, windows: Tensor, position: Tensor) -> None:
        """Raise what the tokens are covered by, and take off the gains what that leaves less."""
        size = self._covered.shape[1]
        row = self._rows.index_select(0, windows * size + position)
        before = self._covered.index_select(0, windows)
        place, token = (row > before).nonzero(as_tuple=True)
        old, new = before[place, token][:, None], row[place, token][:, None]
        window = windows.index_select(0, place)
        parts = (t.split(_CHUNK_ROWS) for t in (window, window * size + token, old, new))
        for to, source, part_old, part_new in zip(*parts, strict=True):
            rows = self._rows.index_select(0, source)
            drop = rows.minimum(part_new).sub_(part_old).clamp_(min=0)
            self._gain.index_add_(0, to, drop.to(torch.int32), alpha=-1)
        self._covered.index_copy_(0, windows, row.maximum(before))

    def merged(self, num_extra: int, num_samples: int) -> Tensor:
        """Mark the first choice of each window and the `num_extra` best others of each sample."""
        num_windows, size = self.gains.shape
        chosen = torch.zeros(num_windows, size, dtype=torch.bool, device=self.gains.device)
        chosen.scatter_(1, self.positions[:, :1], True)
        later = self.gains[:, 1:].reshape(num_samples, -1)
        order = later.sort(dim=1, descending=True, stable=True).indices[:, :num_extra]
        sample = torch.arange(num_samples, device=order.device)[:, None]
        place = (order + sample * later.shape[1]).flatten()  # into (windows, members - 1)
        window = place // (size - 1) if size > 1 else place
        position = self.positions[:, 1:].flatten().index_select(0, place)
        chosen[window, position] = True
        return chosen
