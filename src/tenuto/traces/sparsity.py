"""Where a scaled trace takes its tiles' sparsity from: the papers' ranges, or a recorded run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tenuto.traces.block_plan import PlannedOperation
from tenuto.traces.masks import Occupancy, Style, occupancy
from tenuto.traces.schema import BLOCK_ROWS, Part, Trace

Floats = NDArray[np.floating]
Shape = tuple[int, int]
_CONCENTRATION = 40.0
"""Of the tiles' densities around their mean (beta distribution). Assumed."""


class Sparsity(Protocol):
    """Draws what a technique leaves of the tiles of planned operations; shares in [0, 1]."""

    def kept(self, row: PlannedOperation, shape: Shape) -> Floats:
        """Return the share of a tile's rows that token reduction leaves."""
        ...

    def needed(self, row: PlannedOperation, shape: Shape) -> Floats:
        """Return the share of the kept rows that attention prediction leaves."""
        ...

    def outputs(self, row: PlannedOperation, shape: Shape) -> tuple[Floats, Occupancy]:
        """Return the live share of the needed rows' outputs, and what they occupy."""
        ...


class AssumedSparsity:
    """Around the plan's own numbers; masks occupy what packed random masks do."""

    def __init__(self, rng: np.random.Generator, style: Style) -> None:
        """Take the source of chance, and how live elements lie."""
        self._rng = rng
        self._style: Style = style

    def kept(self, row: PlannedOperation, shape: Shape) -> Floats:
        """Return shares around the plan's."""
        return self._around(row.kept or 0.0, shape)

    def needed(self, row: PlannedOperation, shape: Shape) -> Floats:
        """Return the plan's share."""
        return np.full(shape, row.needed)

    def outputs(self, row: PlannedOperation, shape: Shape) -> tuple[Floats, Occupancy]:
        """Return densities around the plan's."""
        density = self._around(row.density, shape)
        return density, occupancy(density, self._style)

    def _around(self, mean: float, shape: Shape) -> NDArray[np.float32]:
        if mean <= 0.0 or mean >= 1.0:
            return np.full(shape, mean, np.float32)
        draws = self._rng.beta(_CONCENTRATION * mean, _CONCENTRATION * (1.0 - mean), shape)
        return draws.astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatistics:
    """Tiles of one part in a recorded run; one entry a tile, shares in [0, 1].

    Attributes:
        kept: Of the rows, tiles that token reduction thinned out only.
        needed: Of the kept rows, tiles that prediction thinned out only.
        density, columns, condensed, merged: Of the needed rows' outputs, live columns, condensed
            and merged tiles; tiles with single live outputs only.
    """

    kept: Floats
    needed: Floats
    density: Floats
    columns: Floats
    condensed: Floats
    merged: Floats


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a recorded run left of its tiles, by part, and whose run it was."""

    source: str
    parts: Mapping[Part, PartStatistics]

    def mean(self, part: Part, name: str) -> float:
        """Return the mean of one column of `PartStatistics`.

        Raises:
            ValueError: The run left no such tile.
        """
        values = getattr(self.parts[part], name) if part in self.parts else np.zeros(0)
        if len(values) == 0:
            raise ValueError(
                f"`statistics` must be a trace with {_TECHNIQUE_OF[name]} at work, got "
                f"{self.source}"
            )
        return float(values.mean())


_TECHNIQUE_OF = {
    "kept": "token reduction",
    "needed": "eager prediction with one-hot rows",
    "density": "FFN-Reuse or eager prediction, whichever the recipe has,",
}


def statistics_of(trace: Trace) -> Statistics:
    """Return the tile statistics of a recorded trace.

    Raises:
        ValueError: The trace is itself a scaled one.
    """
    manifest = trace.manifest
    if manifest.kind != "recorded":
        raise ValueError(f"`statistics` must be a recorded trace, got a {manifest.kind} one")
    parts = {
        part: found
        for part in (Part.QUERY, Part.SCORES, Part.FFN_UP)
        if (found := _of_part(trace, part)) is not None
    }
    techniques = ", ".join(manifest.techniques) or "dense"
    return Statistics(f"the recorded run of {manifest.model} ({techniques})", parts)


def _of_part(trace: Trace, part: Part) -> PartStatistics | None:
    table, tiles = trace.operations, trace.tiles
    chosen = (table.part[tiles.operation] == part) & (tiles.needed_rows > 0)
    if not chosen.any():
        return None
    own = tiles.operation[chosen]
    width, count = np.maximum(table.columns, 1)[own], table.count[own]
    width = np.where(table.kept_keys[own] > 0, table.kept_keys[own], width)
    kept, needed = tiles.kept_rows[chosen].astype(float), tiles.needed_rows[chosen].astype(float)
    blocks = np.ceil(needed / BLOCK_ROWS) * count
    dense = blocks * np.ceil(width / BLOCK_ROWS)
    density = np.minimum(tiles.live_elements[chosen] / (needed * width * count), 1.0)
    is_sparse = (density < 1.0) & (part != Part.QUERY)
    kept_share, needed_share = kept / tiles.rows[chosen], needed / kept
    return PartStatistics(
        kept=kept_share[kept_share < 1.0],
        needed=needed_share[needed_share < 1.0],
        density=density[is_sparse],
        columns=np.minimum(tiles.live_columns[chosen] / (blocks * width), 1.0)[is_sparse],
        condensed=np.minimum(tiles.condensed_tiles[chosen] / dense, 1.0)[is_sparse],
        merged=np.minimum(tiles.merged_tiles[chosen] / dense, 1.0)[is_sparse],
    )


class RecordedSparsity:
    """Tiles drawn with replacement from those of a recorded run, where the plan thins them out.

    Token reduction is drawn from the run's query rows for every part: a run that reduces them
    reduces all that follows.
    """

    def __init__(self, rng: np.random.Generator, statistics: Statistics) -> None:
        """Take the source of chance and the tiles."""
        self._rng, self._parts = rng, statistics.parts

    def kept(self, row: PlannedOperation, shape: Shape) -> Floats:
        """Return recorded shares."""
        if not row.kept or row.kept == 1.0:
            return np.full(shape, row.kept or 0.0)
        return self._rng.choice(self._parts[Part.QUERY].kept, shape)

    def needed(self, row: PlannedOperation, shape: Shape) -> Floats:
        """Return recorded shares."""
        if row.needed == 1.0:
            return np.full(shape, 1.0)
        return self._rng.choice(self._parts[Part.SCORES].needed, shape)

    def outputs(self, row: PlannedOperation, shape: Shape) -> tuple[Floats, Occupancy]:
        """Return whole recorded tiles: their density with what they occupied."""
        if row.density == 1.0:
            full = np.full(shape, 1.0)
            return full, Occupancy(full, full, full)
        found = self._parts[row.part]
        tile = self._rng.integers(len(found.density), size=shape)
        shares = (found.columns[tile], found.condensed[tile], found.merged[tile])
        return found.density[tile], Occupancy(*shares)
