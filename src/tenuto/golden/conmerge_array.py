"""Replay a packing on the array of dot-product units, tile by tile."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenuto.golden.conmerge import Packing

Integers = NDArray[np.integer[Any]]


def execute(packing: Packing, inputs: Integers, weights: Integers) -> NDArray[np.int64]:
    """Compute the needed outputs of ``inputs @ weights`` as the array does.

    Args:
        packing: Of a (rows, columns) mask.
        inputs: (rows, depth) integers.
        weights: (depth, columns) integers; dot products stay below 2^63.

    Returns:
        (rows, columns) int64; 0 where no output is needed.

    Raises:
        ValueError: The shapes do not fit the packing, or the packing computes an output twice.

    Source: EXION (arXiv 2501.05680): units that switch their weight, and their input between the
    own row and that of the conflict vector; reconstructed.
    """
    made = (inputs.shape[0], weights.shape[1])
    if made != packing.shape:
        raise ValueError(
            f"`inputs` and `weights` must make outputs of shape {packing.shape}, got {made}"
        )
    outputs = np.zeros(packing.shape, np.int64)
    times_written = np.zeros(packing.shape, np.int64)
    for tile in range(packing.num_tiles):
        row, column, value = _run_tile(packing, tile, inputs, weights)
        outputs[row, column] = value
        np.add.at(times_written, (row, column), 1)
    if times_written.max(initial=0) > 1:
        row, column = np.argwhere(times_written > 1)[0]
        raise ValueError(
            f"`packing` must compute output ({row}, {column}) once, got {times_written.max()} times"
        )
    return outputs


def _run_tile(
    packing: Packing, tile: int, inputs: Integers, weights: Integers
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Return rows, columns and values of what the busy units put out."""
    line, lane = np.nonzero(packing.select[tile] >= 0)
    other = packing.alternative[tile, line].astype(np.int64)
    row_in_block = np.where(packing.moved[tile, line, lane], other, line)
    row = int(packing.block[tile]) * packing.alternative.shape[1] + row_in_block
    column = packing.columns[tile, packing.select[tile, line, lane], lane]
    operands = inputs[row].astype(np.int64) * weights[:, column].T.astype(np.int64)
    return row, column, operands.sum(1)
