"""What a machine has to compute of a trace: the techniques it can use, applied to each operation.

A machine that lacks a technique computes those rows, keys or elements too. Where the trace composed
techniques and the machine has only some, live shares of the needed rows are taken for all rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tenuto.accelerators.tiles import TileSums, tile_sums
from tenuto.hardware import Chip
from tenuto.traces.schema import OVERHEADS, Part, Trace

Floats = NDArray[np.float64]

LINEAR = (
    Part.QUERY, Part.KEY_VALUE, Part.PROJECTION, Part.CROSS_LINEAR, Part.FFN_UP, Part.FFN_DOWN,
    Part.TEXT_LINEAR, Part.RESIDUAL_BLOCK, Part.OTHER_LINEAR,
)  # fmt: skip
_PREDICTED = (Part.QUERY, Part.KEY_VALUE, Part.SCORES, Part.VALUES)
_FFN = (Part.FFN_UP, Part.FFN_DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One entry an operation of the trace.

    Attributes:
        rows, inner, columns, count: Of the product after reduction; `rows` may be fractional where
            one count stands for many heads. Work of a technique that is not used has no rows.
        density: Live share of it: of outputs (first layers, scores) or of inputs (second layers,
            weighted values).
        column_share: Share of columns of 16-row blocks with any live element.
        condensed_share, merged_share: Of the dense tiles, after compaction.
        macs: Multiply-accumulates that count.
        imbalance: Of the most loaded core.
    """

    part: NDArray[np.integer]
    rows: Floats
    inner: Floats
    columns: Floats
    count: Floats
    density: Floats
    column_share: Floats
    condensed_share: Floats
    merged_share: Floats
    macs: Floats
    imbalance: Floats


def uses_tokens(trace: Trace, chip: Chip) -> bool:
    """Whether the machine can leave out the tokens that the run left out."""
    return chip.skips_tokens and (trace.manifest.restoration != "forecast" or chip.forecasts)


def work_of(trace: Trace, chip: Chip) -> Work:
    """Apply what the machine can use to every operation."""
    table = trace.operations
    own = tile_sums(trace, chip.num_cores, chip.compaction.granularity)
    sums = _followed(own, table.tiles_of)
    part = table.part
    has_tiles = table.tiles_of >= 0
    size = {name: getattr(table, name).astype(np.float64) for name in ("rows", "inner", "columns")}
    tokens, predicts = uses_tokens(trace, chip), chip.predictor is not None
    rows = np.where(has_tiles, _live_rows(part, size["rows"], sums, tokens, predicts), size["rows"])
    rows = np.where(_is_unused(part, tokens, predicts), 0.0, rows)
    keys = table.kept_keys.astype(np.float64)
    if tokens:
        size["columns"] = np.where(part == Part.SCORES, keys, size["columns"])
        size["inner"] = np.where(part == Part.VALUES, keys, size["inner"])
    skips = has_tiles & (
        (np.isin(part, (Part.SCORES, Part.VALUES)) & predicts)
        | (np.isin(part, _FFN) & chip.reuses_ffn)
    )
    width, count = _mask_width(trace), table.count.astype(np.float64)
    outputs = sums.needed_rows * width * count
    tiles = sums.blocks * np.ceil(width / 16) * count

    def share(live: Floats, dense: Floats) -> Floats:
        return np.where(skips, live / np.maximum(dense, 1.0), 1.0)

    density = share(sums.live_elements, outputs)
    macs = count * rows * size["inner"] * size["columns"] * density
    return Work(
        part=part, rows=rows, inner=size["inner"], columns=size["columns"], count=count,
        density=density,
        column_share=share(sums.live_columns, sums.blocks * width * count),
        condensed_share=share(sums.condensed_tiles, tiles),
        merged_share=share(sums.merged_tiles, tiles),
        macs=np.where(np.isin(part, OVERHEADS), 0.0, macs),
        imbalance=np.where(skips & (chip.compaction.granularity != "none"), sums.imbalance, 1.0),
    )  # fmt: skip


def _followed(own: TileSums, tiles_of: NDArray[np.integer]) -> TileSums:
    """Give each operation the sums of the one whose tiles describe it."""
    index = np.maximum(tiles_of, 0)
    return TileSums(**{name: getattr(own, name)[index] for name in TileSums.__slots__})


def _live_rows(
    part: NDArray[np.integer], rows: Floats, sums: TileSums, tokens: bool, predicts: bool
) -> Floats:
    """Rows to compute: kept ones where tokens are skipped, needed ones where scores are known."""
    is_predicted = np.isin(part, _PREDICTED) & predicts
    kept = sums.kept_rows if tokens else rows
    needed = sums.needed_rows / np.maximum(sums.kept_rows, 1.0)
    return np.where(is_predicted, kept * needed, kept)


def _is_unused(part: NDArray[np.integer], tokens: bool, predicts: bool) -> NDArray[np.bool_]:
    """Whether an operation is work of a technique that the machine does not use."""
    of_tokens = np.isin(part, (Part.MATCH, Part.RESTORE, Part.REMEMBER))
    of_prediction = np.isin(part, (Part.PREDICT_PROJECTION, Part.PREDICT_SCORES))
    return (of_tokens & (not tokens)) | (of_prediction & (not predicts))


def _mask_width(trace: Trace) -> Floats:
    """Columns of the mask that an operation's tiles describe: the first layer's, or kept keys."""
    table = trace.operations
    width = np.where(table.kept_keys > 0, table.kept_keys, table.columns)
    return width[np.maximum(table.tiles_of, 0)].astype(np.float64)
