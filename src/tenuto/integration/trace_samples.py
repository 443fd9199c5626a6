"""Raw data that a trace keeps for replay on hardware units: a bounded, even sample of the run.

docs/hardware.md describes the arrays; `tenuto.golden` defines what hardware must make of them.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tenuto.algorithms.datm import Datm, check_datm, window_of
from tenuto.algorithms.eager_prediction import AttentionPlan
from tenuto.golden.quantize import quantize_rows
from tenuto.golden.windows import window_members
from tenuto.integration.live_tiles import BlockPacker, Mask
from tenuto.integration.observer import Matching, ScoreLimits
from tenuto.traces.schema import BLOCK_ROWS
from tenuto.traces.writer import TraceWriter

Arrays = Mapping[str, NDArray[Any]]
CAPACITY = {"conmerge": 64, "datm": 4, "eager": 8}
"""Samples of each kind."""
_MOST_VALUES = 2**20
_MOST_QUERIES = 256


class Samples:
    """Chooses evenly among what it is offered, without knowing how much will come."""

    def __init__(self, seed: int) -> None:
        """Begin with nothing; the same offers and seed choose the same samples."""
        self._random = random.Random(seed)
        self._offers = dict.fromkeys(CAPACITY, 0)
        self._chosen: dict[str, list[Arrays]] = {kind: [] for kind in CAPACITY}

    def offer(self, kind: str, make: Callable[[], Arrays]) -> None:
        """Offer a sample; it is made only if it is chosen (Vitter's algorithm R)."""
        chosen, number = self._chosen[kind], self._offers[kind]
        self._offers[kind] += 1
        place = number if len(chosen) < CAPACITY[kind] else self._random.randrange(number + 1)
        if place < len(chosen):
            chosen[place] = make()
        elif place == len(chosen) < CAPACITY[kind]:
            chosen.append(make())

    def choose(self, number: int) -> int:
        """Return one of so many alternatives."""
        return self._random.randrange(number)

    def write(self, writer: TraceWriter) -> None:
        """Hand over what was chosen."""
        for kind, chosen in self._chosen.items():
            for number, arrays in enumerate(chosen):
                for name, array in arrays.items():
                    writer.sample(f"{kind}/{number:04d}/{name}", array)


def offer_mask(samples: Samples, mask: Mask, place: tuple[int, int, int, int]) -> None:
    """Offer the 16-row blocks of a mask.

    Args:
        samples: Take some.
        mask: (rows, columns) of the rows that are left.
        place: Step, block, part, copy.
    """
    for start in range(0, len(mask), BLOCK_ROWS):
        block = mask[start : start + BLOCK_ROWS]
        samples.offer("conmerge", lambda block=block, start=start: {
            "mask": block.copy(),
            "counts": np.array(BlockPacker().counts(block), np.int32),
            "place": np.array((*place, start), np.int32),
        })  # fmt: skip


def offer_matching(samples: Samples, matching: Matching, step: int) -> None:
    """Offer a matching by DATM in integers; other matchers have no unit."""
    if isinstance(matching.matcher, Datm) and matching.matcher.bits is not None:
        batch = len(matching.features)
        samples.offer("datm", lambda: _windows(matching, samples.choose(batch), step))


def _windows(matching: Matching, sample: int, step: int) -> Arrays:
    """Quantized windows of one sample, and its plan where all windows are kept."""
    datm = matching.matcher
    assert isinstance(datm, Datm) and datm.bits is not None
    features = matching.features[sample].detach().float().cpu().numpy()
    num_tokens, channels = features.shape
    window = window_of(datm, matching.grid)
    size = window[0] if len(window) == 1 else window
    members = window_members(num_tokens, size, matching.grid)
    _, destinations = check_datm(num_tokens, matching.grid, matching.ratio, datm)
    reduced = matching.plan.src.shape[1]
    fitting = members[: max(1, _MOST_VALUES // (len(members[0]) * channels))]
    is_whole = len(fitting) == len(members)
    share = sum(map(len, fitting)) / num_tokens
    index, tokens = _quantized(features, fitting, datm.bits)
    sizes = (
        datm.bits,
        max(int(destinations * share), len(fitting)),
        int(reduced * share),
        is_whole,
    )
    arrays = {
        "tokens": tokens,
        "members": index,
        "size": np.array(sizes, np.int32),
        "place": np.array((step, matching.key[0], sample), np.int32),
    }
    return {**arrays, **(_partners(matching, sample, index) if is_whole else {})}


def _quantized(
    features: NDArray[np.float32], members: list[NDArray[np.int64]], bits: Literal[4, 8]
) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Return token numbers and integers of windows, padded to the first one's length."""
    index = np.full((len(members), len(members[0])), -1, np.int32)
    tokens = np.zeros((*index.shape, features.shape[1]), np.int8)
    for number, own in enumerate(members):
        index[number, : len(own)] = own
        tokens[number, : len(own)] = quantize_rows(features[own], bits)
    return index, tokens


def _partners(matching: Matching, sample: int, index: NDArray[np.int32]) -> Arrays:
    """Which members of all windows were reduced, and the window positions of their partners."""
    src, dst = (tensor[sample].cpu().numpy() for tensor in (matching.plan.src, matching.plan.dst))
    position = np.full(index.max() + 1, -1, np.int32)
    window, slot = np.nonzero(index >= 0)
    position[index[window, slot]] = slot
    partner_of = np.full(len(position), -1, np.int32)
    partner_of[src] = position[dst]
    is_member = index >= 0
    partner = np.where(is_member, partner_of[np.maximum(index, 0)], -1).astype(np.int32)
    return {"is_reduced": partner >= 0, "partner": partner}


def offer_prediction(
    samples: Samples,
    operands: tuple[Tensor, Tensor],
    plan: AttentionPlan,
    limits: ScoreLimits,
    place: tuple[int, int],
) -> None:
    """Offer one head of a predicted attention.

    Args:
        samples: May take it.
        operands: Whole queries and keys, (batch, heads, rows, head_dim).
        plan: What was decided.
        limits: How.
        place: Step and block.
    """
    queries, keys = operands
    is_replayable = limits.technique.predictor == "two_step" and not limits.is_masked
    if is_replayable and keys.shape[2] * keys.shape[3] <= _MOST_VALUES:
        samples.offer("eager", lambda: _head(samples, queries, keys, plan, limits, place))


def _head(
    samples: Samples,
    queries: Tensor,
    keys: Tensor,
    plan: AttentionPlan,
    limits: ScoreLimits,
    place: tuple[int, int],
) -> Arrays:
    head = samples.choose(queries.shape[0] * queries.shape[1])
    rows = slice(min(_MOST_QUERIES, queries.shape[2]))
    margin = -1
    if limits.threshold is not None:  # scores are whole: beyond it is beyond its floor
        limit = limits.threshold.expand(queries.shape[:3])[..., 0].flatten()[head]
        margin = int(torch.floor(limit))
    setting = (limits.technique.bits, limits.keep_count, margin)

    def of_head(tensor: Tensor) -> NDArray[Any]:
        return tensor.detach().flatten(0, 1)[head].cpu().numpy()

    return {
        "query": of_head(queries)[rows].astype(np.int16),
        "key": of_head(keys).astype(np.int16),
        "setting": np.array(setting, np.int64),
        "keep": of_head(plan.keep)[rows].copy(),
        "one_hot": of_head(plan.one_hot)[rows].copy(),
        "place": np.array((*place, head), np.int32),
    }
