"""Bytes between DRAM and chip, operation by operation, from sizes and the SRAM's capacity.

Half of the SRAM holds what is used while the other half fills. Rules, per product: an input or
output of at most a quarter of the SRAM stays on the chip; when neither factor fits in half of it,
the cheaper of the two loop orders is taken; scores never leave the chip, keys and values are read
again for every half SRAM of queries; a model whose weights fit in half of it is read once a run.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tenuto.accelerators.work import LINEAR, Work
from tenuto.hardware import Chip
from tenuto.traces.schema import Operations, Part, Trace

Floats = NDArray[np.float64]
HISTORY_BYTES = 2
"""Of a stored output: 16 bit."""
INDEX_BYTES = 8
"""Of one pair of tokens, source and destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One entry an operation.

    Attributes:
        streamed: Bytes in long runs.
        gathered: Bytes in runs of one token's channels.
        run_bytes: Length of those runs.
    """

    streamed: Floats
    gathered: Floats
    run_bytes: Floats

    @property
    def total(self) -> Floats:
        """Bytes of each operation."""
        return self.streamed + self.gathered


def traffic_of(trace: Trace, work: Work, chip: Chip) -> Traffic:
    """Return the bytes of every operation."""
    half = chip.sram.capacity_bytes / 2
    element = chip.operand_bits / 8
    inputs, outputs = _activations(work, element, half / 2)
    weights = _weights(trace.operations, work, element, half)
    times_inputs = np.ceil(weights / half)
    times_weights = np.ceil(np.maximum(inputs, 1.0) / half)
    products = np.minimum(
        inputs * np.maximum(times_inputs, 1.0) + weights, inputs + weights * times_weights
    )
    is_gathered = (work.rows < trace.operations.rows) & np.isin(work.part, LINEAR)
    gathered = np.where(is_gathered, products - weights, 0.0)
    streamed = np.where(is_gathered, weights, products) + outputs
    streamed += _attention(work, element, half)
    own, scattered = _technique(trace, work, chip, element)
    return Traffic(
        streamed=streamed + own,
        gathered=gathered + scattered,
        run_bytes=np.where(
            np.isin(work.part, (Part.RESTORE, Part.REMEMBER)), work.columns, work.inner
        )
        * element,
    )


def _activations(work: Work, element: float, resident: float) -> tuple[Floats, Floats]:
    """Bytes of linear layers' inputs and outputs that do not stay on the chip."""
    is_linear = np.isin(work.part, LINEAR)
    live_inputs = np.where(work.part == Part.FFN_DOWN, work.density, 1.0)
    live_outputs = np.where(work.part == Part.FFN_UP, work.density, 1.0)
    inputs = work.rows * work.inner * live_inputs * element
    inputs = np.where(work.part == Part.RESIDUAL_BLOCK, inputs / 9, inputs)
    outputs = work.rows * work.columns * live_outputs * element
    return tuple(np.where(is_linear & (b > resident), b, 0.0) for b in (inputs, outputs))  # type: ignore[return-value]


def _weights(table: Operations, work: Work, element: float, half: float) -> Floats:
    """Bytes of weights to read: live columns only where one row block decides, once if they fit."""
    blocks = np.ceil(work.rows / 16)
    dead_in_all = (1.0 - work.column_share) ** np.maximum(blocks, 1.0)
    is_ffn = np.isin(work.part, (Part.FFN_UP, Part.FFN_DOWN))
    read = np.where(is_ffn, 1.0 - dead_in_all, 1.0)
    dense = np.where(np.isin(work.part, LINEAR), table.inner * table.columns * element, 0.0)
    weights = np.where(work.rows > 0, dense * read, 0.0)
    model = dense[table.step == 0].sum()
    return weights if model > half else np.where(table.step == 0, weights, 0.0)


def _attention(work: Work, element: float, half: float) -> Floats:
    """Queries once, keys once for every half SRAM of queries; values and outputs likewise."""
    is_scores = np.isin(work.part, (Part.SCORES, Part.CROSS_SCORES))
    is_values = np.isin(work.part, (Part.VALUES, Part.CROSS_VALUES))
    head = np.where(is_scores, work.inner, work.columns)
    keys = np.where(is_scores, work.columns, work.inner)
    queries = work.rows * head * element
    passes = np.maximum(np.ceil(queries / half), 1.0)
    one = queries + keys * head * element * np.where(work.rows > 0, passes, 0.0)
    stays = work.count * one <= half / 2
    return np.where((is_scores | is_values) & ~stays, work.count * one, 0.0)


def _technique(trace: Trace, work: Work, chip: Chip, element: float) -> tuple[Floats, Floats]:
    """Bytes that techniques cost: partial sums and masks, restored rows, histories, pairs."""
    part, streamed = work.part, np.zeros(len(work.part))
    if chip.reuses_ffn and "FFN-Reuse" in trace.manifest.techniques:
        up_columns = trace.operations.inner[part == Part.FFN_DOWN]
        down = part == Part.FFN_DOWN
        partial = work.rows * work.columns * HISTORY_BYTES
        streamed += np.where(down, partial, 0.0)
        streamed[down] += work.rows[down] * up_columns / 8
    streamed += np.where(part == Part.MATCH, work.rows * INDEX_BYTES, 0.0)
    values = work.rows * work.columns
    is_history = np.isin(part, (Part.RESTORE, Part.REMEMBER))
    streamed += np.where(is_history, values * work.inner * HISTORY_BYTES, 0.0)
    return streamed, np.where(part == Part.RESTORE, values * element, 0.0)
