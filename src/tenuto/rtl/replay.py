"""Recorded samples of a trace as cases: what a run left out, replayed on the units."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenuto import conmerge_timing, datm_timing, hardware_timing
from tenuto.datm_engine_timing import Datm
from tenuto.rtl.cases import conmerge, datm, eager
from tenuto.rtl.ladder import Case
from tenuto.traces import open_sample, sample_names

_LANES = 16


def recorded_cases(folder: Path) -> Iterator[tuple[str, Case]]:
    """Yield the unit's name and a case for what a trace keeps of each kind of sample.

    Blocks of masks are one case, at the size that holds the widest; matchings and heads are a case
    each, at their own size.

    Args:
        folder: A trace (`tenuto.traces`) with raw samples.

    Raises:
        TraceFormatError: The trace keeps none, or they are not what was written.
    """
    masks = [open_sample(folder, f"{name}/mask") for name in sample_names(folder, "conmerge")]
    if masks:
        yield "conmerge", merging_case(masks)
    for name in sample_names(folder, "datm"):
        tokens, members, size = _arrays(folder, name, "tokens", "members", "size")
        matching = matching_case(tokens, members, *size[1:3].tolist())
        if matching is not None:
            yield "datm", matching
    for name in sample_names(folder, "eager"):
        query, key, setting = _arrays(folder, name, "query", "key", "setting")
        yield "eager-row", predicting_case(query, key, *setting.tolist())


def _arrays(folder: Path, name: str, *parts: str) -> list[NDArray]:
    return [open_sample(folder, f"{name}/{part}") for part in parts]


def merging_case(masks: list[NDArray[np.bool_]]) -> Case:
    """Return the case of (rows, columns) masks of up to 16 rows on the array of 16 x 16.

    Rows that the last block of a mask lacks need nothing.
    """
    widest = max(mask.shape[1] for mask in masks)
    size = conmerge_timing.ConMerge(max_columns=-(-widest // _LANES) * _LANES)
    blocks = [np.pad(mask, ((0, size.rows - len(mask)), (0, 0))) for mask in masks]
    return conmerge.case_from(size, blocks)


def matching_case(
    tokens: NDArray[np.int8], members: NDArray[np.int32], num_destinations: int, num_reduced: int
) -> Case | None:
    """Return the case of a matching's full windows, None where it has none.

    The engine's windows all have one size, so windows that lack members are left out, and with
    them their share of the destinations and of the reduced tokens, rounded down; at least a
    destination a window stays.

    Args:
        tokens: (windows, members, channels).
        members: (windows, members), -1 where a window has no token.
        num_destinations: Of all windows.
        num_reduced: Of all windows.
    """
    is_full = (members >= 0).all(axis=1)
    if not is_full.any():
        return None
    windows = tokens[is_full]
    share = windows.shape[0] * windows.shape[1] / (members >= 0).sum()
    size = Datm(
        array=datm_timing.SimilarityArray(
            tokens=windows.shape[1], channels=windows.shape[2], columns=1
        ),
        num_windows=len(windows),
        num_destinations=max(int(num_destinations * share), len(windows)),
        num_reduced=int(num_reduced * share),
    )
    return datm.case_from(size, [windows.reshape(-1, windows.shape[2])])


def predicting_case(
    query: NDArray[np.int16], key: NDArray[np.int16], bits: int, num_kept: int, margin: int
) -> Case:
    """Return the case of one head's (queries, channels) against its (keys, channels).

    Args:
        query: Integers of `bits` bits.
        key: Likewise.
        bits: Of an operand.
        num_kept: Scores kept of a row.
        margin: A lead above it makes a row one-hot; -1: none does.
    """
    spare = -query.shape[1] % _LANES
    left, right = (np.pad(side, ((0, 0), (0, spare))).astype(np.int64) for side in (query, key))
    dot = hardware_timing.LogDot(lanes=_LANES, bits=bits, max_length=left.shape[1])
    size = hardware_timing.EagerRow(dot=dot, max_keys=len(key), num_kept=num_kept)
    never = 2**dot.result_bits - 1
    return eager.row_case(size, left, right, never if margin < 0 else min(margin, never))
