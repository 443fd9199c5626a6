"""Cycles of matrix products on arrays, in closed form.

The systolic forms are those that SCALE-Sim's simulation obeys to the cycle (compute cycles, without
memory stalls): matched on eight runs of SCALE-Sim 3.0.0, ragged and non-square ones among them.
"""

import numpy as np
from numpy.typing import NDArray

from tenuto.hardware import DotProductArray, SystolicArray

Floats = NDArray[np.float64]


def output_stationary_cycles(array: SystolicArray, m: Floats, n: Floats, k: Floats) -> Floats:
    """Cycles of (m x k) times (k x n): ``(R + C + k - 2) ceil(m / R) ceil(n / C) - 1``."""
    rows, columns = array.pe_rows, array.pe_columns
    return (rows + columns + k - 2) * np.ceil(m / rows) * np.ceil(n / columns) - 1


def weight_stationary_cycles(array: SystolicArray, m: Floats, n: Floats, k: Floats) -> Floats:
    """Cycles of (m x k) times (k x n): ``(2R + C + m - 2) ceil(k / R) ceil(n / C) - 1``."""
    rows, columns = array.pe_rows, array.pe_columns
    return (2 * rows + columns + m - 2) * np.ceil(k / rows) * np.ceil(n / columns) - 1


def input_stationary_cycles(array: SystolicArray, m: Floats, n: Floats, k: Floats) -> Floats:
    """Cycles of (m x k) times (k x n): ``(2R + C + n - 2) ceil(k / R) ceil(m / C) - 1``."""
    rows, columns = array.pe_rows, array.pe_columns
    return (2 * rows + columns + n - 2) * np.ceil(k / rows) * np.ceil(m / columns) - 1


def systolic_cycles(
    array: SystolicArray, num_cores: int, m: Floats, n: Floats, k: Floats, count: Floats
) -> Floats:
    """Cycles of `count` products shared by `num_cores` arrays, each in its best dataflow.

    The better of two mappings: products go to cores whole while there are enough, or each is split
    over all cores. A product is split by rows, then by columns. Empty products take no cycle.
    """
    together = _shared(array, num_cores, m, n, k, count)
    in_turn = count * _shared(array, num_cores, m, n, k, np.ones_like(count))
    is_empty = (m <= 0) | (n <= 0) | (k <= 0) | (count <= 0)
    return np.where(is_empty, 0.0, np.minimum(together, in_turn))


def _shared(
    array: SystolicArray, num_cores: int, m: Floats, n: Floats, k: Floats, count: Floats
) -> Floats:
    """Cycles with as many products at once as there are, up to one a core."""
    groups = np.clip(np.minimum(count, num_cores), 1, None)
    cores_of_one = np.floor(num_cores / groups)
    row_cores = np.clip(np.minimum(cores_of_one, np.ceil(m / array.pe_rows)), 1, None)
    column_cores = np.minimum(
        np.floor(cores_of_one / row_cores), np.clip(np.ceil(n / array.pe_columns), 1, None)
    )
    own_m, own_n = np.ceil(m / row_cores), np.ceil(n / column_cores)
    best = np.minimum.reduce(
        [
            output_stationary_cycles(array, own_m, own_n, k),
            weight_stationary_cycles(array, own_m, own_n, k),
            input_stationary_cycles(array, own_m, own_n, k),
        ]
    )
    return best * np.ceil(count / groups)


def dot_product_cycles(
    array: DotProductArray, num_cores: int, num_tiles: Floats, inner: Floats
) -> Floats:
    """Cycles of output tiles that any core may take: each ``ceil(inner / dot_length)``.

    Args:
        array: Of one core.
        num_cores: That share the tiles.
        num_tiles: Output tiles of the array's size; partly filled ones count whole.
        inner: Length of the dot products.
    """
    steps = np.ceil(inner / array.dot_length)
    busy = np.ceil(num_tiles / num_cores) * steps
    return np.where(busy > 0, busy + array.pipeline_cycles, 0.0)
