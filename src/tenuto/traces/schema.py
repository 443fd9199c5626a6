"""What a trace holds: a manifest, one row an operation, one row a tile of 16-row blocks.

An operation is one matrix product of the model (or one piece of a technique's own work). Tiles say
what of it a technique left to compute. Live counts of a tile refer to its needed rows and are sums
over its blocks of `BLOCK_ROWS` rows and over the operation's `count` (heads, guidance branches).
"""

from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tenuto.errors import TraceFormatError
from tenuto.traces.matches import Columns, Matches
from tenuto.traces.parts import ATTENTION_CORES, OVERHEADS, Part

__all__ = [
    "ATTENTION_CORES",
    "BLOCK_ROWS",
    "OVERHEADS",
    "SCHEMA_VERSION",
    "Manifest",
    "Matches",
    "Operations",
    "Part",
    "Tiles",
    "Trace",
]

SCHEMA_VERSION = 2
BLOCK_ROWS = 16
"""Rows that a sparse engine packs together (EXION's array has 16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a trace is of, and where it comes from.

    Attributes:
        model: Name of the workload or class of the model.
        kind: "recorded" from a run, or "scaled": published shapes with assumed sparsity.
        num_steps: Denoising steps.
        num_blocks: Transformer blocks.
        tile_rows: Rows of a tile, a multiple of 16; the last tile of an operation may have fewer.
        techniques: What was on, as text.
        restoration: How rows that were not computed got their values.
        seed: Of the noise, or of the assumed statistics.
        sources: Where shapes and sparsity are from.
        settings: Of each technique, as it was built.
        inputs: Shapes and dtypes of what the model was called with, recorded traces only.
        scheduler: Class of the sampler, recorded traces only.
        prompts: Captions of the run.
        packed_share: Share of the masks' 16-row blocks whose merged tiles were counted by packing
            them; the others take the mean of their tile.
    """

    model: str
    kind: Literal["recorded", "scaled"]
    num_steps: int
    num_blocks: int
    tile_rows: int
    techniques: tuple[str, ...] = ()
    restoration: Literal["none", "copy", "forecast"] = "none"
    seed: int = 0
    sources: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    scheduler: str = ""
    prompts: tuple[str, ...] = ()
    packed_share: float = 1.0

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_blocks", "tile_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}")
        if self.tile_rows % BLOCK_ROWS:
            raise ValueError(f"`tile_rows` must be a multiple of 16, got {self.tile_rows}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """One array a column, one entry an operation, in the order of execution.

    Attributes:
        step: Position in the denoising loop.
        block: Transformer block; -1 outside of one.
        part: A `Part`.
        rows: Rows of the left factor: tokens.
        inner: Length of the dot products.
        columns: Columns of the right factor: channels, or keys.
        count: How many such products: heads times guidance branches for attention, else 1.
        kept_keys: SCORES and VALUES: keys that reduction left; 0 elsewhere.
        tiles_of: The operation whose tiles describe this one, itself or an earlier one; -1: dense.
        added_macs: Multiply-accumulates that a technique added, as `tenuto.Stats` counts them;
            MATCH and ADDED of recorded traces only.
    """

    step: Columns
    block: Columns
    part: Columns
    rows: Columns
    inner: Columns
    columns: Columns
    count: Columns
    kept_keys: Columns
    tiles_of: Columns
    added_macs: Columns

    def __len__(self) -> int:
        return len(self.part)

    @property
    def dense_macs(self) -> NDArray[np.float64]:
        """Multiply-accumulates of each operation with nothing skipped; 0 for overheads."""
        macs = self.count * self.rows.astype(np.float64) * self.inner * self.columns
        return np.where(np.isin(self.part, OVERHEADS), 0.0, macs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """One array a column, one entry a row tile, sorted by operation.

    Attributes:
        operation: Index of the operation.
        rows: Rows of the tile.
        kept_rows: Left by token reduction.
        needed_rows: Of these, left by attention prediction (query rows), at most `kept_rows`. Where
            the operation stands for `count` products, or for heads that need different rows, both
            are the mean, rounded up; the live counts are exact sums.
        live_elements: Outputs to compute.
        live_columns: Columns with any live output, summed over the blocks of 16 rows.
        condensed_tiles: 16 x 16 tiles of live columns, summed over the blocks.
        merged_tiles: The same after tiles are laid over one another (EXION's ConMerge).
    """

    operation: Columns
    rows: Columns
    kept_rows: Columns
    needed_rows: Columns
    live_elements: Columns
    live_columns: Columns
    condensed_tiles: Columns
    merged_tiles: Columns

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Trace:
    """A run as counts. `check` has passed for every trace that `open` or `scaled_trace` returns."""

    manifest: Manifest
    operations: Operations
    tiles: Tiles
    matches: Matches = field(default_factory=Matches)

    @property
    def dense_macs(self) -> float:
        """Of the whole run, had nothing been skipped."""
        return float(self.operations.dense_macs.sum())

    def check(self) -> None:
        """Raise where the columns contradict one another.

        Raises:
            TraceFormatError: Naming the first column that is out of its range.
        """
        tables = {"operations": self.operations, "tiles": self.tiles, "matches": self.matches}
        for name, table in tables.items():
            lengths = {len(getattr(table, field.name)) for field in fields(table)}
            if len(lengths) > 1:
                raise TraceFormatError(f"columns of `{name}` must have one length, got {lengths}")
        for problems in (self._operation_problems, self._tile_problems, self._match_problems):
            for rule, is_broken in problems().items():
                if is_broken:
                    raise TraceFormatError(f"the trace is inconsistent: {rule}")

    def _operation_problems(self) -> dict[str, bool]:
        table = self.operations
        known = table.part.size == 0 or (table.part.min() >= 0 and table.part.max() <= max(Part))
        own = np.arange(len(table))
        return {
            "`part` must be a known part": not known,
            "`step` must lie in the run": bool(
                np.any((table.step < 0) | (table.step >= self.manifest.num_steps))
            ),
            "sizes must not be negative": any(
                bool(np.any(column < 0))
                for column in (table.rows, table.inner, table.columns, table.count)
            ),
            "`tiles_of` must name this or an earlier operation": bool(
                np.any((table.tiles_of < -1) | (table.tiles_of > own))
            ),
        }

    def _tile_problems(self) -> dict[str, bool]:
        tiles, table = self.tiles, self.operations
        if len(tiles) == 0:
            return {
                "`tiles_of` must name an operation with tiles": bool(np.any(table.tiles_of >= 0))
            }
        order = np.diff(tiles.operation)
        if bool(np.any(order < 0)) or tiles.operation[0] < 0 or tiles.operation[-1] >= len(table):
            return {"tiles must be sorted by operations that exist": True}
        rows = np.bincount(tiles.operation, weights=tiles.rows, minlength=len(table))
        owners = np.unique(table.tiles_of[table.tiles_of >= 0])
        return {
            "`needed_rows` <= `kept_rows` <= `rows` must hold in every tile": bool(
                np.any(tiles.needed_rows > tiles.kept_rows) or np.any(tiles.kept_rows > tiles.rows)
            ),
            "`merged_tiles` must not exceed `condensed_tiles`": bool(
                np.any(tiles.merged_tiles > tiles.condensed_tiles)
            ),
            "the rows of its tiles must add up to an operation's rows": bool(
                np.any(rows[owners] != table.rows[owners])
            ),
        }

    def _match_problems(self) -> dict[str, bool]:
        table, parts = self.matches, self.operations.part
        if len(table) == 0:
            return {}
        exists = table.operation.min() >= 0 and table.operation.max() < len(parts)
        is_match = exists and bool(np.all(parts[table.operation] == Part.MATCH))
        return {"`operation` of matches must name a MATCH operation": not is_match}
