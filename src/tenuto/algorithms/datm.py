"""Distribution-aware token matching: windows, destinations under one budget, the cheapest pairs.

Equal to the integer definition `tenuto.golden.datm` bit for bit with 8 and 4 bits, on every device
and for every batch; without quantization the same, on cosines that are rounded once.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Literal

import torch
from torch import Tensor

from tenuto.algorithms.facility_location import select_destinations
from tenuto.algorithms.fixed_similarity import FULL, fixed_similarity, float_similarity
from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.matching import complement
from tenuto.algorithms.quantize import quantize_rows
from tenuto.algorithms.shapes import Float, Int, UInt8

RATIO_LEVELS = 16
"""An adaptive ratio is a multiple of one over this, so that few different shapes occur."""

# Token values in work at once: two windows of 256 tokens of 1024 channels stay in a core's cache.
_CHUNK_ELEMENTS = 2**19
_DESTINATION_CODE = 255  # no loss has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Datm:
    """How tokens are matched.

    Attributes:
        bits: Of the tokens that similarity is measured on; None leaves them as they are.
        window: Consecutive tokens, or tokens along each grid axis; None is (4, 8, 8) on grids with
            three axes, 16 along each of two and 256 in a row, or the grid where that is smaller.
        destinations: Share of the tokens that others may be reduced to, (0, 1]; less where the
            ratio leaves less, and at least one token of each window.
        loss_threshold: Reduce only tokens whose ``1 - cosine`` with their partner is at most this,
            [0, 1]; the ratio is then the most that is reduced.
    """

    bits: Literal[4, 8] | None = 8
    window: int | tuple[int, ...] | None = None
    destinations: float = 0.25
    loss_threshold: float | None = None

    def check(self, grid: tuple[int, ...], ratio: float) -> None:
        """Raise ValueError where tokens of this grid cannot be matched at this ratio."""
        check_datm(prod(grid), grid, ratio, self)

    def match(self, features: Tensor, grid: tuple[int, ...], ratio: float, draw: int) -> MatchPlan:
        """Return the plan, see `match_datm`; nothing is left to chance."""
        del draw
        return match_datm(features, grid, ratio, self)

    def macs(self, grid: tuple[int, ...], ratio: float, channels: int) -> int:
        """Multiply-accumulates of matching one sample: the similarities within windows."""
        del ratio
        num_windows, size = _extent(grid, window_of(self, grid))
        return num_windows * size**2 * channels


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Which tokens are in which window.

    Attributes:
        members: Token indices, ascending; windows that hold fewer end in repeats of their first.
        num_members: Tokens of each window.
    """

    members: Int[Tensor, "windows members"]
    num_members: Int[Tensor, " windows"]

    @property
    def is_member(self) -> Tensor:
        """Where `members` is not a repeat, (windows, members)."""
        size = self.members.shape[1]
        return torch.arange(size, device=self.members.device) < self.num_members[:, None]


def match_datm(
    features: Float[Tensor, "batch tokens channels"],
    grid: tuple[int, ...],
    ratio: float,
    datm: Datm,
) -> MatchPlan:
    """Reduce the ``int(ratio * tokens)`` tokens that lose least by taking a partner.

    Args:
        features: What similarity is measured on; finite.
        grid: Tokens along each axis, row-major.
        ratio: Share of the tokens to reduce; with a loss threshold, the most of them.
        datm: Windows, bits, destinations, threshold.

    Returns:
        The plan, lowest losses first. With a loss threshold all samples of the batch reduce the
        same count, that of the sample that can afford least, rounded down to a sixteenth.

    Raises:
        ValueError: As `check_datm`.

    Source: our reconstruction of DATM (ORBIS, arXiv 2605.22015); `tenuto.golden.datm` defines it.

    >>> line = torch.tensor([[[9.0, 1.0], [9.0, 2.0], [1.0, 9.0], [7.0, 7.0]]])
    >>> plan = match_datm(line, (4,), 0.25, Datm(window=4))
    >>> plan.keep.tolist(), plan.src.tolist(), plan.dst.tolist()
    ([[0, 2, 3]], [[1]], [[3]])
    """
    batch, num_tokens = features.shape[:2]
    num_reduced, num_destinations = check_datm(num_tokens, grid, ratio, datm)
    windows = _windows_on(grid, window_of(datm, grid), features.device)
    similarities = _similarities(features, windows, datm.bits)
    num_members = windows.num_members.repeat(batch)
    is_destination = select_destinations(similarities, num_members, num_destinations, batch)
    best, nearest = similarities.where(is_destination[:, None], -1).max(2)
    partner = windows.members.repeat(batch, 1).gather(1, nearest)
    place = windows.members[windows.is_member]  # every token once
    found = windows.is_member.repeat(batch, 1)

    def by_token(values: Tensor) -> Tensor:
        return (
            torch.empty_like(values[found])
            .view(batch, -1)
            .index_copy_(1, place, values[found].view(batch, -1))
        )

    loss = (FULL - by_token(best)).int()
    if datm.loss_threshold is not None:
        is_affordable = (loss <= datm.loss_threshold * FULL) & ~by_token(is_destination)
        level = int(is_affordable.sum(1).min()) * RATIO_LEVELS // num_tokens
        num_reduced = min(num_reduced, num_tokens * level // RATIO_LEVELS)
    codes = loss_codes(loss).masked_fill_(by_token(is_destination), _DESTINATION_CODE)
    src = codes.sort(dim=1, stable=True).indices[:, :num_reduced]
    return MatchPlan(complement(src, num_tokens), src, by_token(partner).gather(1, src))


def check_datm(num_tokens: int, grid: tuple[int, ...], ratio: float, datm: Datm) -> tuple[int, int]:
    """Return how many tokens are reduced and how many are destinations, or say why that cannot be.

    Raises:
        ValueError: The window does not fit the grid, the grid does not hold the tokens, or `ratio`
            is more than the destinations leave.
    """
    if prod(grid) != num_tokens:
        raise ValueError(f"`grid` must hold {num_tokens} tokens, got {grid} = {prod(grid)}")
    window = window_of(datm, grid)
    axes = grid if len(window) > 1 else (num_tokens,)
    if len(window) != len(axes) or any(w > axis for w, axis in zip(window, axes, strict=True)):
        raise ValueError(f"`window` must fit into the token grid {axes}, got {window}")
    num_windows, _ = _extent(grid, window)
    num_reduced = int(num_tokens * ratio) if 0 <= ratio <= 1 else -1
    if not 0 <= num_reduced <= num_tokens - num_windows:
        raise ValueError(
            f"`ratio` must be in [0, {1 - num_windows / num_tokens:.3f}] with windows of {window} "
            f"on the grid {axes} (one token of each is kept), got {ratio!r}"
        )
    wanted = max(int(num_tokens * datm.destinations), num_windows)
    return num_reduced, min(wanted, num_tokens - num_reduced)


def window_of(datm: Datm, grid: tuple[int, ...]) -> tuple[int, ...]:
    """Return the window's axes; one axis stands for consecutive tokens."""
    if datm.window is None:
        sizes = {3: (4, 8, 8), 2: (16, 16)}.get(len(grid), (256,))
        axes = grid if len(sizes) == len(grid) else (prod(grid),)
        return tuple(min(size, axis) for size, axis in zip(sizes, axes, strict=True))
    return (datm.window,) if isinstance(datm.window, int) else datm.window


def loss_codes(losses: Int[Tensor, "*tokens"]) -> UInt8[Tensor, "*tokens"]:
    """Return the histogram bin of each loss as uint8, see `tenuto.golden.datm.loss_codes`.

    >>> loss_codes(torch.tensor([0, 15, 31, 32, 33, 34, 32767])).tolist()
    [0, 15, 31, 32, 32, 33, 191]
    """
    num_bits = torch.frexp(losses.float()).exponent
    shift = (num_bits - 5).clamp_(min=0)
    return (16 * shift + (losses >> shift)).to(torch.uint8)


def _similarities(
    features: Tensor, windows: Windows, bits: Literal[4, 8] | None
) -> Int[Tensor, "windows members members"]:
    """Return the similarities in all windows of all samples, 0 where a window holds no token."""
    batch, num_tokens, channels = features.shape
    num_windows, size = windows.members.shape
    flat, is_member = features.reshape(-1, channels), windows.is_member
    result = torch.empty(batch * num_windows, size, size, dtype=torch.int16, device=features.device)
    offsets = torch.arange(batch, device=features.device)[:, None, None] * num_tokens
    rows = (windows.members + offsets).view(batch * num_windows, size)
    step = max(1, _CHUNK_ELEMENTS // (size * channels))
    for part, out in zip(rows.split(step), result.split(step), strict=True):
        tokens = flat.index_select(0, part.flatten()).view(*part.shape, channels)
        similar = (
            float_similarity(tokens)
            if bits is None
            else fixed_similarity(quantize_rows(tokens, bits))
        )
        out.copy_(similar)
    if not bool(is_member.all()):
        both = is_member[:, :, None] & is_member[:, None]
        result.view(batch, num_windows, size, size).mul_(both)
    return result


def _extent(grid: tuple[int, ...], window: tuple[int, ...]) -> tuple[int, int]:
    """Return the number of windows, and the tokens of a whole one."""
    axes = grid if len(window) > 1 else (prod(grid),)
    num_windows = prod(-(-axis // size) for axis, size in zip(axes, window, strict=True))
    return num_windows, prod(window)


def _windows_on(grid: tuple[int, ...], window: tuple[int, ...], device: torch.device) -> Windows:
    windows = _windows(grid if len(window) > 1 else (prod(grid),), window)
    return Windows(windows.members.to(device), windows.num_members.to(device))


@lru_cache(maxsize=8)
def _windows(grid: tuple[int, ...], window: tuple[int, ...]) -> Windows:
    """Return the windows, row-major; those at the far border of an axis may hold fewer tokens."""
    number = torch.zeros(1, dtype=torch.int64)
    for axis, size in zip(grid, window, strict=True):
        along = torch.arange(axis) // size
        number = (number[:, None] * -(-axis // size) + along).flatten()
    num_members = number.bincount()
    token = number.argsort(stable=True)
    first = num_members.cumsum(0) - num_members
    slot = torch.arange(len(number)) - first[number[token]]
    members = token[first][:, None].repeat(1, prod(window))
    members[number[token], slot] = token
    return Windows(members, num_members)
