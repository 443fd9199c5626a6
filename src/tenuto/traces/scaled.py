"""Traces of published workloads: real shapes, assumed sparsity, marked as scaled.

Each tile draws its density around the workload's from a beta distribution, so that cores are
unevenly loaded as they are in runs. Everything is computed from the seed.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenuto.traces.block_plan import PlannedOperation, plan_block
from tenuto.traces.recipes import RECIPES, Recipe
from tenuto.traces.schema import BLOCK_ROWS, Manifest, Operations, Part, Tiles, Trace
from tenuto.traces.sparsity import (
    AssumedSparsity,
    RecordedSparsity,
    Sparsity,
    Statistics,
    statistics_of,
)
from tenuto.traces.workloads import WORKLOADS, Workload


def scaled_trace(
    name: str,
    recipe: Recipe | str = "composed",
    *,
    seed: int = 0,
    tile_rows: int = 128,
    statistics: Trace | None = None,
) -> Trace:
    """Make the trace of a published workload.

    Args:
        name: A key of `tenuto.traces.workloads.WORKLOADS`.
        recipe: What was on: a `Recipe` or a key of `RECIPES`.
        seed: Of the tiles' densities.
        tile_rows: Rows of a tile, a multiple of 16.
        statistics: A recorded trace whose tiles give the sparsity of every technique that the
            recipe has; None takes it from the papers' ranges.

    Raises:
        ValueError: Unknown name or recipe, or `statistics` lacks a technique of the recipe.
    """
    for what, value, known in (("name", name, WORKLOADS), ("recipe", recipe, RECIPES)):
        if isinstance(value, str) and value not in known:
            raise ValueError(f"`{what}` must be one of {sorted(known)}, got {value!r}")
    workload = WORKLOADS[name]
    chosen = _applicable(RECIPES[recipe] if isinstance(recipe, str) else recipe, workload)
    rng = np.random.default_rng(seed)
    sparsity: Sparsity = AssumedSparsity(rng, chosen.style)
    source = "assumed within the papers' ranges"
    if statistics is not None:
        recorded = statistics_of(statistics)
        chosen, workload = _recorded(chosen, workload, recorded)
        sparsity, source = RecordedSparsity(rng, recorded), f"tiles of {recorded.source}"
    manifest = Manifest(
        model=name, kind="scaled", num_steps=workload.num_steps,
        num_blocks=sum(group.num_blocks for group in workload.groups), tile_rows=tile_rows,
        techniques=chosen.techniques, restoration=chosen.restoration, seed=seed,
        sources=(workload.source, f"sparsity: {source}"),
    )  # fmt: skip
    builder = _Builder(manifest, sparsity, chosen)
    for step in range(workload.num_steps):
        builder.add_step(step, workload)
    trace = builder.trace()
    trace.check()
    return trace


def _applicable(recipe: Recipe, workload: Workload) -> Recipe:
    """Turn off what the workload's numbers leave nothing to do for."""
    return replace(
        recipe,
        token_scale=recipe.token_scale if workload.token_ratio else 0.0,
        predicts_scores=recipe.predicts_scores and workload.keep_ratio < 1.0,
    )


def _recorded(
    recipe: Recipe, workload: Workload, statistics: Statistics
) -> tuple[Recipe, Workload]:
    """Put a run's mean shares in the place of the assumed ones, as far as the recipe has them."""
    if recipe.token_scale:
        reduced = 1.0 - statistics.mean(Part.QUERY, "kept")
        workload = replace(workload, token_ratio=reduced / recipe.token_scale)
    if recipe.reuses_ffn:
        workload = replace(workload, ffn_sparsity=1.0 - statistics.mean(Part.FFN_UP, "density"))
    if recipe.predicts_scores:
        workload = replace(workload, keep_ratio=statistics.mean(Part.SCORES, "density"))
        has_one_hot = len(statistics.parts[Part.SCORES].needed) > 0
        share = 1.0 - statistics.mean(Part.SCORES, "needed") if has_one_hot else 0.0
        recipe = replace(recipe, one_hot_ratio=share)
    return recipe, workload


class _Builder:
    """Collects columns, one array a (step, group), and joins them at the end."""

    def __init__(self, manifest: Manifest, sparsity: Sparsity, recipe: Recipe) -> None:
        self._manifest, self._sparsity, self._recipe = manifest, sparsity, recipe
        self._operations: list[dict[str, NDArray[Any]]] = []
        self._tiles: list[dict[str, NDArray[Any]]] = []
        self._num_operations = 0

    def add_step(self, step: int, workload: Workload) -> None:
        """Append the operations of one denoising step."""
        first_block = 0
        for group in workload.groups:
            planned = list(plan_block(group, workload, self._recipe, step))
            self._add_blocks(step, first_block, group.num_blocks, planned)
            first_block += group.num_blocks
        convolutions = [
            PlannedOperation(part=Part.RESIDUAL_BLOCK, rows=workload.branches * shape.rows,
                     inner=shape.inner, columns=shape.columns)
            for shape in workload.convolutions
        ]  # fmt: skip
        if convolutions:
            self._add_blocks(step, -1, 1, convolutions)

    def _add_blocks(
        self, step: int, first: int, num_blocks: int, plan: list[PlannedOperation]
    ) -> None:
        places = {row.part: index for index, row in enumerate(plan) if row.kept is not None}
        starts = self._num_operations + len(plan) * np.arange(num_blocks)[:, None]
        own = [
            index if row.kept is not None else places.get(row.follows or row.part, -1)
            for index, row in enumerate(plan)
        ]
        tiles_of = np.where(np.array(own) >= 0, starts + np.array(own), -1)
        columns = {
            name: np.tile([int(getattr(row, name)) for row in plan], num_blocks)
            for name in ("part", "rows", "inner", "columns", "count", "kept_keys")
        }
        columns["step"] = np.full(num_blocks * len(plan), step)
        columns["block"] = np.repeat(first + np.arange(num_blocks), len(plan))
        columns["tiles_of"] = tiles_of.ravel()
        columns["added_macs"] = np.zeros(num_blocks * len(plan), np.int64)
        self._operations.append(columns)
        tiled = [self._tiles_of(row, starts + index, num_blocks)
                 for index, row in enumerate(plan) if row.kept is not None]  # fmt: skip
        if tiled:
            names = tiled[0].keys()
            self._tiles.append(
                {name: np.concatenate([t[name] for t in tiled], axis=1).ravel() for name in names}
            )
        self._num_operations += num_blocks * len(plan)

    def _tiles_of(
        self, row: PlannedOperation, operation: NDArray[Any], num_blocks: int
    ) -> dict[str, NDArray[Any]]:
        """Tiles of one operation in every block: arrays of (blocks, tiles)."""
        size = self._manifest.tile_rows
        rows = np.full(-(-row.rows // size), size)
        rows[-1] = row.rows - size * (len(rows) - 1)
        shape = (num_blocks, len(rows))
        kept = np.minimum(rows, np.rint(rows * self._sparsity.kept(row, shape)))
        needed = np.rint(kept * self._sparsity.needed(row, shape))
        density, shares = self._sparsity.outputs(row, shape)
        blocks = np.ceil(needed / BLOCK_ROWS)
        width = row.kept_keys or row.columns
        tiles = blocks * (-(-width // BLOCK_ROWS) * row.count)
        condensed = np.ceil(tiles * shares.condensed)
        return {
            "operation": np.broadcast_to(operation, shape),
            "rows": np.broadcast_to(rows, shape).astype(np.uint16),
            "kept_rows": kept.astype(np.uint16),
            "needed_rows": needed.astype(np.uint16),
            "live_elements": np.rint(needed * width * row.count * density).astype(np.uint32),
            "live_columns": np.rint(blocks * width * row.count * shares.columns).astype(np.uint32),
            "condensed_tiles": condensed.astype(np.uint32),
            "merged_tiles": np.minimum(condensed, np.ceil(tiles * shares.merged)).astype(np.uint32),
        }

    def trace(self) -> Trace:
        """Join what was added."""

        def joined(parts: list[dict[str, NDArray[Any]]], name: str) -> NDArray[Any]:
            return np.concatenate([part[name] for part in parts]) if parts else np.zeros(0, int)

        operations = Operations(
            **{f.name: joined(self._operations, f.name) for f in fields(Operations)}
        )
        tiles = Tiles(**{f.name: joined(self._tiles, f.name) for f in fields(Tiles)})
        return Trace(self._manifest, operations, tiles)
