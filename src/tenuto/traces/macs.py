"""Multiply-accumulates that a traced run did, from its tiles."""

import numpy as np
from numpy.typing import NDArray

from tenuto.traces.schema import OVERHEADS, Part, Trace

_BY_INPUTS = (Part.VALUES, Part.CROSS_VALUES, Part.FFN_DOWN)
"""Their tiles are those of the product before: live outputs there are live inputs here."""


def macs_done(trace: Trace) -> NDArray[np.float64]:
    """Return the multiply-accumulates of each operation as it ran, those of techniques included.

    An operation with tiles of its own does as many dot products as it has live outputs. One with
    the tiles of the operation that makes its inputs multiplies each live input with all its
    columns (for a gated feed-forward, live inputs are a share of the live outputs before). Any
    other does its kept rows whole.
    """
    table, tiles = trace.operations, trace.tiles

    def total(column: NDArray[np.integer]) -> NDArray[np.float64]:
        sums = np.bincount(tiles.operation, weights=column, minlength=len(table))
        return sums[np.maximum(table.tiles_of, 0)].astype(np.float64)

    if len(tiles) == 0:
        return (table.dense_macs + table.added_macs).astype(np.float64)
    owner = np.maximum(table.tiles_of, 0)
    live, kept = total(tiles.live_elements), total(tiles.kept_rows)
    is_own = table.tiles_of == np.arange(len(table))
    is_attended = np.isin(table.part, (Part.VALUES, Part.CROSS_VALUES))
    gates = np.where(is_attended, 1.0, table.columns[owner] / np.maximum(table.inner, 1))
    followed = np.where(
        np.isin(table.part, _BY_INPUTS),
        live / np.maximum(gates, 1.0) * table.columns,
        kept * table.inner * table.columns * table.count,
    )
    macs = np.where(is_own, live * table.inner, followed)
    macs = np.where(table.tiles_of < 0, table.dense_macs, macs)
    done = np.where(np.isin(table.part, OVERHEADS), 0.0, macs) + table.added_macs
    return done.astype(np.float64)
