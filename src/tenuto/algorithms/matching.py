"""Pair each reduced token with the kept token that it is most similar to.

Bipartite matching with one destination per window, as ToMe does for images and AsymRnR for video;
what differs between the techniques is *which* tokens it is given: inputs of this step (ToMeSD) or
outputs of an earlier one (DiTo, ORBIS).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import floor, prod

import torch
from torch import Tensor

from tenuto.algorithms.match_plan import MatchPlan, flat_rows
from tenuto.algorithms.restore import gather_rows
from tenuto.algorithms.shapes import Float, Int

# Similarities held at once; 2**24 float32 values are 64 MiB.
_CHUNK_ELEMENTS = 2**24

# Shorter features count as this long: the cosine of a zero vector is 0, as in torch's `normalize`.
_SHORTEST = 1e-12


@dataclass(frozen=True, slots=True)
class FrequencyPenalty:
    """How often tokens were approximated so far, and what that costs them in the matching.

    Source: DiTo (arXiv 2605.22011) names a selection-frequency penalty; its form is our
    reconstruction (methods: ``score = best cosine - weight * share of reduced steps``).

    Attributes:
        share: Share of the reduced steps in which each token was approximated, 0..1.
        weight: In units of cosine similarity; 0 is off.
    """

    share: Float[Tensor, "batch tokens"]
    weight: float


def match_tokens(
    features: Float[Tensor, "batch tokens channels"],
    grid: tuple[int, ...],
    window: tuple[int, ...],
    ratio: float,
    *,
    densest: bool = False,
    penalty: FrequencyPenalty | None = None,
) -> MatchPlan:
    """Reduce the ``floor(ratio * tokens)`` tokens that resemble a window's destination the most.

    Cosine similarity. Ties go to the lowest index. Tokens outside complete windows can be reduced
    but are never destinations.

    Args:
        features: What similarity is measured on; any real values.
        grid: Tokens along each axis, row-major, e.g. (frames, rows, columns).
        window: Tokens of one window along each axis of `grid`.
        ratio: Share of the tokens to reduce, in [0, 1 - 1/window size].
        densest: Take the token with the highest mean similarity to all tokens as a window's
            destination (SiTo's rule) instead of its first one.
        penalty: Makes tokens that were approximated often less likely to be reduced, and with
            `densest` more likely to be a destination.

    Raises:
        ValueError: The grid does not fit the tokens, no window fits the grid, or `ratio` is out of
            range.

    Source: ToMeSD (arXiv 2303.17604), sections 3 and 4; the penalty: `FrequencyPenalty`.

    >>> line = torch.tensor([[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.7]]])
    >>> plan = match_tokens(line, (4,), (2,), 0.25)
    >>> plan.keep.tolist(), plan.src.tolist(), plan.dst.tolist()
    ([[0, 2, 3]], [[1]], [[0]])
    """
    num_reduced = check_reducible(features.shape[1], grid, window, ratio)
    features = features.float()
    if densest:
        members = window_members(grid, window, features.device)
        dst = _densest_of_windows(features, members, penalty)
        src = complement(dst, features.shape[1])
    else:
        dst, src = _lattice(grid, window, features.device, features.shape[0])
    best, partner = _nearest(features, src, dst)
    if penalty is not None:
        best = best - penalty.weight * penalty.share.gather(1, src)
    return reduce_best(best, src, dst.gather(1, partner), num_reduced, features.shape[1])


def reduce_best(
    score: Float[Tensor, "batch sources"],
    src: Int[Tensor, "batch sources"],
    partner: Int[Tensor, "batch sources"],
    num_reduced: int,
    num_tokens: int,
) -> MatchPlan:
    """Return the plan that reduces the sources with the highest scores and keeps all else.

    Args:
        score: How well a source is stood for; ties go to the lowest position.
        src: Tokens that may be reduced, ascending.
        partner: The token that stands for each of them; none of `src`.
        num_reduced: Sources to reduce.
        num_tokens: All tokens.
    """
    order = score.sort(dim=1, descending=True, stable=True).indices[:, :num_reduced]
    reduced = src.gather(1, order)
    return MatchPlan(
        keep=complement(reduced, num_tokens), src=reduced, dst=partner.gather(1, order)
    )


def nearest_destinations(
    features: Float[Tensor, "batch tokens channels"],
    grid: tuple[int, ...],
    window: tuple[int, ...],
) -> Int[Tensor, "batch sources"]:
    """Return the nearest window destination of each other token, the lattice held fixed.

    Two such maps of different steps, compared entry by entry, give the Pair Match Ratio.

    Raises:
        ValueError: As `match_tokens`.
    """
    check_reducible(features.shape[1], grid, window, 0.0)
    dst, src = _lattice(grid, window, features.device, features.shape[0])
    return _nearest(features.float(), src, dst)[1]


def matching_macs(
    num_tokens: int, num_windows: int, channels: int, *, densest: bool = False
) -> int:
    """Multiply-accumulates of one `match_tokens` call on one sample.

    The similarity matrix, and with `densest` each token's similarity to the mean of all.
    """
    return ((num_tokens - num_windows) * num_windows + num_tokens * densest) * channels


def num_reduced_of(num_tokens: int, ratio: float) -> int:
    """Return how many of the tokens a ratio reduces, rounded down.

    A product that misses a whole number by rounding alone counts as that number.

    >>> int(100 * 0.29), num_reduced_of(100, 0.29)
    (28, 29)
    """
    return floor(num_tokens * ratio * (1 + 1e-12))


def check_reducible(
    num_tokens: int, grid: tuple[int, ...], window: tuple[int, ...], ratio: float
) -> int:
    """Return how many tokens `ratio` reduces, or say why that cannot be.

    Raises:
        ValueError: As `match_tokens`.
    """
    if prod(grid) != num_tokens:
        raise ValueError(f"`grid` must hold {num_tokens} tokens, got {grid} = {prod(grid)}")
    if len(window) != len(grid) or any(w > g for w, g in zip(window, grid, strict=False)):
        raise ValueError(f"`window` must fit into the token grid {grid}, got {window}")
    num_windows = prod(g // w for g, w in zip(grid, window, strict=True))
    num_reduced = num_reduced_of(num_tokens, ratio)
    if not 0 <= num_reduced <= num_tokens - num_windows:
        reachable = 1 - num_windows / num_tokens
        raise ValueError(
            f"`ratio` must be in [0, {reachable:.3f}] with windows of {window} on the grid "
            f"{grid} (one token of each is kept), got {ratio!r}"
        )
    return num_reduced


def window_members(
    grid: tuple[int, ...], window: tuple[int, ...], device: torch.device | None = None
) -> Int[Tensor, "windows members"]:
    """Return the token indices of each complete window, row-major, lowest index first.

    >>> window_members((2, 5), (2, 2)).tolist()
    [[0, 1, 5, 6], [2, 3, 7, 8]]
    """
    index = torch.arange(prod(grid), device=device).reshape(grid)
    for axis, size in enumerate(window):
        whole = index.shape[axis] // size * size
        index = index.narrow(axis, 0, whole).unflatten(axis, (whole // size, size))
        index = index.movedim(axis + 1, -1)
    return index.reshape(-1, prod(window))


@lru_cache(maxsize=64)
def _lattice_of_one(
    grid: tuple[int, ...], window: tuple[int, ...], device: torch.device
) -> tuple[Int[Tensor, "1 destinations"], Int[Tensor, "1 sources"]]:
    """Return the first token of each window, and all others; made once for each grid."""
    dst = window_members(grid, window, device)[None, :, 0].contiguous()
    return dst, complement(dst, prod(grid))


def _lattice(
    grid: tuple[int, ...], window: tuple[int, ...], device: torch.device, batch: int
) -> tuple[Int[Tensor, "batch destinations"], Int[Tensor, "batch sources"]]:
    """Return destinations and sources where destinations are each window's first token."""
    dst, src = _lattice_of_one(grid, window, device)
    return dst.expand(batch, -1), src.expand(batch, -1)


def _densest_of_windows(
    features: Float[Tensor, "batch tokens channels"],
    members: Int[Tensor, "windows members"],
    penalty: FrequencyPenalty | None,
) -> Int[Tensor, "batch windows"]:
    """Return each window's token with the highest mean cosine to all tokens."""
    units = torch.nn.functional.normalize(features, dim=-1)
    density = (units @ units.mean(1, keepdim=True).mT)[..., 0]
    if penalty is not None:
        density = density + penalty.weight * penalty.share
    return best_of_windows(density, members)


def best_of_windows(
    scores: Float[Tensor, "batch tokens"], members: Int[Tensor, "windows members"]
) -> Int[Tensor, "batch windows"]:
    """Return each window's token with the highest score, the lowest index among equals."""
    winner = scores[:, members].argmax(-1)  # (batch, windows)
    return members.expand(scores.shape[0], -1, -1).gather(2, winner[..., None])[..., 0]


def _nearest(
    features: Float[Tensor, "batch tokens channels"],
    src: Int[Tensor, "batch sources"],
    dst: Int[Tensor, "batch destinations"],
) -> tuple[Float[Tensor, "batch sources"], Int[Tensor, "batch sources"]]:
    """Return each source's highest cosine and the position in `dst` that has it.

    A source's own length changes nothing about which destination is nearest: only destinations are
    brought to unit length, and the winning products are divided by the sources' lengths.
    """
    num_tokens = features.shape[1]
    picked = gather_rows(features, flat_rows(dst, num_tokens))
    destinations = torch.nn.functional.normalize(picked, dim=-1).mT
    rows = max(1, _CHUNK_ELEMENTS // max(1, dst.shape[0] * dst.shape[1]))
    best, partner = [], []
    for part in src.split(rows, dim=1):
        sources = gather_rows(features, flat_rows(part, num_tokens))
        values, indices = (sources @ destinations).max(-1)
        lengths = torch.linalg.vector_norm(sources, dim=-1)
        best.append(values / lengths.clamp_min(_SHORTEST))
        partner.append(indices)
    if len(best) == 1:
        return best[0], partner[0]
    return torch.cat(best, 1), torch.cat(partner, 1)


def complement(chosen: Int[Tensor, "batch chosen"], num_tokens: int) -> Int[Tensor, "batch others"]:
    """Return the token indices that are not in `chosen`, ascending."""
    free = torch.ones(chosen.shape[0], num_tokens, dtype=torch.int8, device=chosen.device)
    free.scatter_(1, chosen, 0)
    order = free.sort(dim=1, descending=True, stable=True).indices
    return order[:, : num_tokens - chosen.shape[1]]
