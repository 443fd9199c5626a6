"""Traces of published workloads: real shapes, assumed sparsity, marked as scaled.

Each tile draws its density around the workload's from a beta distribution, so that cores are
unevenly loaded as they are in runs. Everything is computed from the seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenuto.traces.masks import occupancy
from tenuto.traces.recipes import RECIPES, Recipe
from tenuto.traces.schema import BLOCK_ROWS, Manifest, Operations, Part, Tiles, Trace
from tenuto.traces.workloads import WORKLOADS, BlockGroup, Workload

MATCH_WINDOW = 256
"""Tokens of a matching window: ORBIS-R, (4, 8, 8)."""
_CONCENTRATION = 40.0
"""Of the tiles' densities around their mean (beta distribution). Assumed."""
_FEWEST_TOKENS = 256
"""Shorter sequences are not reduced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """One operation of a block, and the live shares of its tiles; None: it has none of its own."""

    part: Part
    rows: int
    inner: int
    columns: int
    count: int = 1
    kept_keys: int = 0
    kept: float | None = None
    needed: float = 1.0
    density: float = 1.0
    follows: Part | None = None


def scaled_trace(
    name: str, recipe: Recipe | str = "composed", *, seed: int = 0, tile_rows: int = 128
) -> Trace:
    """Make the trace of a published workload.

    Args:
        name: A key of `tenuto.traces.workloads.WORKLOADS`.
        recipe: What was on: a `Recipe` or a key of `RECIPES`.
        seed: Of the tiles' densities.
        tile_rows: Rows of a tile, a multiple of 16.

    Raises:
        ValueError: Unknown name or recipe.
    """
    for what, value, known in (("name", name, WORKLOADS), ("recipe", recipe, RECIPES)):
        if isinstance(value, str) and value not in known:
            raise ValueError(f"`{what}` must be one of {sorted(known)}, got {value!r}")
    workload = WORKLOADS[name]
    chosen = _applicable(RECIPES[recipe] if isinstance(recipe, str) else recipe, workload)
    manifest = Manifest(
        model=name, kind="scaled", num_steps=workload.num_steps,
        num_blocks=sum(group.num_blocks for group in workload.groups), tile_rows=tile_rows,
        techniques=chosen.techniques, restoration=chosen.restoration, seed=seed,
        sources=(workload.source, "sparsity: assumed within the papers' ranges"),
    )  # fmt: skip
    builder = _Builder(manifest, np.random.default_rng(seed), chosen)
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


class _Builder:
    """Collects columns, one array a (step, group), and joins them at the end."""

    def __init__(self, manifest: Manifest, rng: np.random.Generator, recipe: Recipe) -> None:
        self._manifest, self._rng, self._recipe = manifest, rng, recipe
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
            _Planned(part=Part.RESIDUAL_BLOCK, rows=workload.branches * shape.rows,
                     inner=shape.inner, columns=shape.columns)
            for shape in workload.convolutions
        ]  # fmt: skip
        if convolutions:
            self._add_blocks(step, -1, 1, convolutions)

    def _add_blocks(self, step: int, first: int, num_blocks: int, plan: list[_Planned]) -> None:
        places = {row.part: index for index, row in enumerate(plan) if row.kept is not None}
        starts = self._num_operations + len(plan) * np.arange(num_blocks)[:, None]
        own = [places.get(row.follows or row.part, -1) for row in plan]
        tiles_of = np.where(np.array(own) >= 0, starts + np.array(own), -1)
        columns = {
            name: np.tile([int(getattr(row, name)) for row in plan], num_blocks)
            for name in ("part", "rows", "inner", "columns", "count", "kept_keys")
        }
        columns["step"] = np.full(num_blocks * len(plan), step)
        columns["block"] = np.repeat(first + np.arange(num_blocks), len(plan))
        columns["tiles_of"] = tiles_of.ravel()
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
        self, row: _Planned, operation: NDArray[Any], num_blocks: int
    ) -> dict[str, NDArray[Any]]:
        """Tiles of one operation in every block: arrays of (blocks, tiles)."""
        size = self._manifest.tile_rows
        rows = np.full(-(-row.rows // size), size)
        rows[-1] = row.rows - size * (len(rows) - 1)
        shape = (num_blocks, len(rows))
        kept = np.minimum(rows, np.rint(rows * self._around(row.kept or 0.0, shape)))
        needed = np.rint(kept * row.needed)
        density = self._around(row.density, shape)
        blocks = np.ceil(needed / BLOCK_ROWS)
        shares = occupancy(density, self._recipe.style)
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

    def _around(self, mean: float, shape: tuple[int, int]) -> NDArray[np.float32]:
        if mean <= 0.0 or mean >= 1.0:
            return np.full(shape, mean, np.float32)
        draws = self._rng.beta(_CONCENTRATION * mean, _CONCENTRATION * (1.0 - mean), shape)
        return draws.astype(np.float32)

    def trace(self) -> Trace:
        """Join what was added."""

        def joined(parts: list[dict[str, NDArray[Any]]], name: str) -> NDArray[Any]:
            return np.concatenate([part[name] for part in parts]) if parts else np.zeros(0, int)

        operations = Operations(
            **{f.name: joined(self._operations, f.name) for f in fields(Operations)}
        )
        tiles = Tiles(**{f.name: joined(self._tiles, f.name) for f in fields(Tiles)})
        return Trace(self._manifest, operations, tiles)


def plan_block(
    group: BlockGroup, workload: Workload, recipe: Recipe, step: int
) -> Iterator[_Planned]:
    """List the operations of one block at one step, in the order of execution."""
    branches = workload.branches
    if recipe.forecast_interval > 1 and step % recipe.forecast_interval:
        yield from _forecast(group, branches, recipe)
        return
    yield from _attention(group, workload, recipe, step)
    yield from _text(group, branches)
    yield from _feed_forward(group, workload, recipe, step)
    if recipe.forecast_interval > 1:
        for rows in (_rows(group, branches),) * 2:
            yield _Planned(part=Part.REMEMBER, rows=rows, inner=1, columns=group.channels)


def _rows(group: BlockGroup, branches: int) -> int:
    text = group.text_tokens if group.text == "joint" else 0
    return branches * group.sequences * (group.tokens + text)


def _forecast(group: BlockGroup, branches: int, recipe: Recipe) -> Iterator[_Planned]:
    """Attention and feed-forward outputs from their histories; the products are all skipped."""
    for part in (Part.QUERY, Part.KEY_VALUE, Part.SCORES, Part.FFN_UP):
        yield replace(_dense(group, branches)[part], kept=0.0)
    for part, follows in (
        (Part.VALUES, Part.SCORES), (Part.PROJECTION, Part.QUERY), (Part.FFN_DOWN, Part.FFN_UP),
    ):  # fmt: skip
        yield replace(_dense(group, branches)[part], follows=follows)
    for _ in range(2):
        yield _Planned(part=Part.RESTORE, rows=_rows(group, branches),
                       inner=recipe.history_orders, columns=group.channels)  # fmt: skip


def _dense(group: BlockGroup, branches: int) -> dict[Part, _Planned]:
    rows, width = _rows(group, branches), group.channels
    own = rows // (branches * group.sequences)
    heads = group.heads * branches * group.sequences
    head = width // group.heads
    sizes = {
        Part.QUERY: (rows, width, width, 1),
        Part.KEY_VALUE: (rows, width, 2 * width, 1),
        Part.SCORES: (own, head, own, heads),
        Part.VALUES: (own, own, head, heads),
        Part.PROJECTION: (rows, width, width, 1),
        Part.FFN_UP: (rows, width, group.ffn_gates * group.ffn_channels, 1),
        Part.FFN_DOWN: (rows, group.ffn_channels, width, 1),
    }
    return {
        part: _Planned(part=part, rows=m, inner=k, columns=n, count=count,
                       kept_keys=own if part in (Part.SCORES, Part.VALUES) else 0)
        for part, (m, k, n, count) in sizes.items()
    }  # fmt: skip


def _attention(
    group: BlockGroup, workload: Workload, recipe: Recipe, step: int
) -> Iterator[_Planned]:
    dense = _dense(group, workload.branches)
    own = dense[Part.SCORES].rows
    ratio = recipe.token_scale * workload.token_ratio if group.tokens >= _FEWEST_TOKENS else 0.0
    is_reduced = ratio > 0.0 and step % recipe.refresh != 0
    kept = 1.0 - ratio * group.tokens / own if is_reduced else 1.0
    keep_ratio = workload.keep_ratio if recipe.predicts_scores else 1.0
    needed = 1.0 - recipe.one_hot_ratio if keep_ratio < 1.0 else 1.0
    keys = max(1, round(own * kept))
    if keep_ratio < 1.0:
        yield from _prediction(dense, kept, keys)
    if not is_reduced and keep_ratio == 1.0:
        yield from (dense[part] for part in (Part.QUERY, Part.KEY_VALUE, Part.SCORES, Part.VALUES))
        yield dense[Part.PROJECTION]
    else:
        yield replace(dense[Part.QUERY], kept=kept, needed=needed)
        yield replace(dense[Part.KEY_VALUE], kept=kept)
        yield replace(dense[Part.SCORES], kept=kept, needed=needed, density=keep_ratio,
                      kept_keys=keys)  # fmt: skip
        yield replace(dense[Part.VALUES], follows=Part.SCORES, kept_keys=keys)
        yield replace(dense[Part.PROJECTION], follows=Part.QUERY)
    if ratio > 0.0:
        yield from _reduction(group, workload.branches, recipe, ratio if is_reduced else 0.0)


def _prediction(dense: dict[Part, _Planned], kept: float, keys: int) -> Iterator[_Planned]:
    """Predicted queries and keys of the tokens that are left, then their predicted scores."""
    query, scores = dense[Part.QUERY], dense[Part.SCORES]
    yield _Planned(part=Part.PREDICT_PROJECTION, rows=round(query.rows * kept),
                   inner=query.inner, columns=2 * query.columns)  # fmt: skip
    yield _Planned(part=Part.PREDICT_SCORES, rows=keys, inner=scores.inner, columns=keys,
                   count=scores.count)  # fmt: skip


def _reduction(
    group: BlockGroup, branches: int, recipe: Recipe, ratio: float
) -> Iterator[_Planned]:
    """Matching for the next step on this one's outputs; values of the rows not computed."""
    tokens = group.tokens * group.sequences * branches
    window = min(MATCH_WINDOW, group.tokens)
    if not recipe.is_matched_by_datm:
        window = max(1, group.tokens // 8)
    if recipe.matches_every_step or not ratio:
        yield _Planned(part=Part.MATCH, rows=tokens, inner=group.channels, columns=window)
    if ratio:
        yield _Planned(part=Part.RESTORE, rows=round(tokens * ratio), inner=0,
                       columns=group.channels)  # fmt: skip


def _text(group: BlockGroup, branches: int) -> Iterator[_Planned]:
    """Cross-attention, or the text's own projections and feed-forward."""
    width, text = group.channels, group.text_tokens
    if group.text == "joint" and group.has_text_weights:
        rows = branches * text
        wide = 4 * width + group.ffn_channels
        yield _Planned(part=Part.TEXT_LINEAR, rows=rows, inner=width, columns=wide)
        yield _Planned(part=Part.TEXT_LINEAR, rows=rows, inner=group.ffn_channels, columns=width)
    if group.text == "cross":
        rows, heads = branches * group.sequences * group.tokens, group.heads * branches
        head = width // group.heads
        count, own = heads * group.sequences, group.tokens
        yield _Planned(part=Part.CROSS_LINEAR, rows=rows, inner=width, columns=2 * width)
        yield _Planned(part=Part.CROSS_LINEAR, rows=branches * text, inner=width, columns=2 * width)
        yield _Planned(part=Part.CROSS_SCORES, rows=own, inner=head, columns=text, count=count)
        yield _Planned(part=Part.CROSS_VALUES, rows=own, inner=text, columns=head, count=count)


def _feed_forward(
    group: BlockGroup, workload: Workload, recipe: Recipe, step: int
) -> Iterator[_Planned]:
    dense = _dense(group, workload.branches)
    if recipe.reuses_ffn and step % (workload.ffn_interval + 1):
        yield replace(dense[Part.FFN_UP], kept=1.0, density=1.0 - workload.ffn_sparsity)
        yield replace(dense[Part.FFN_DOWN], follows=Part.FFN_UP)
    else:
        yield dense[Part.FFN_UP]
        yield dense[Part.FFN_DOWN]
