"""The operations of one transformer block at one step, as a recipe leaves them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tenuto.traces.recipes import Recipe
from tenuto.traces.schema import Part
from tenuto.traces.workloads import BlockGroup, Workload

MATCH_WINDOW = 256
"""Tokens of a matching window: ORBIS-R, (4, 8, 8)."""
_FEWEST_TOKENS = 256
"""Shorter sequences are not reduced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOperation:
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


def plan_block(
    group: BlockGroup, workload: Workload, recipe: Recipe, step: int
) -> Iterator[PlannedOperation]:
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
            yield PlannedOperation(part=Part.REMEMBER, rows=rows, inner=1, columns=group.channels)


def _rows(group: BlockGroup, branches: int) -> int:
    text = group.text_tokens if group.text == "joint" else 0
    return branches * group.sequences * (group.tokens + text)


def _forecast(group: BlockGroup, branches: int, recipe: Recipe) -> Iterator[PlannedOperation]:
    """Attention and feed-forward outputs from their histories; the products are all skipped."""
    for part in (Part.QUERY, Part.KEY_VALUE, Part.SCORES, Part.FFN_UP):
        yield replace(_dense(group, branches)[part], kept=0.0)
    for part, follows in (
        (Part.VALUES, Part.SCORES), (Part.PROJECTION, Part.QUERY), (Part.FFN_DOWN, Part.FFN_UP),
    ):  # fmt: skip
        yield replace(_dense(group, branches)[part], follows=follows)
    yield from (replace(row, kept=0.0) for row in _text(group, branches))
    for _ in range(2):
        yield PlannedOperation(part=Part.RESTORE, rows=_rows(group, branches),
                       inner=recipe.history_orders, columns=group.channels)  # fmt: skip


def _dense(group: BlockGroup, branches: int) -> dict[Part, PlannedOperation]:
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
        part: PlannedOperation(part=part, rows=m, inner=k, columns=n, count=count,
                       kept_keys=own if part in (Part.SCORES, Part.VALUES) else 0)
        for part, (m, k, n, count) in sizes.items()
    }  # fmt: skip


def _attention(
    group: BlockGroup, workload: Workload, recipe: Recipe, step: int
) -> Iterator[PlannedOperation]:
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


def _prediction(
    dense: dict[Part, PlannedOperation], kept: float, keys: int
) -> Iterator[PlannedOperation]:
    """Predicted queries and keys of the tokens that are left, then their predicted scores."""
    query, scores = dense[Part.QUERY], dense[Part.SCORES]
    yield PlannedOperation(part=Part.PREDICT_PROJECTION, rows=round(query.rows * kept),
                   inner=query.inner, columns=2 * query.columns)  # fmt: skip
    yield PlannedOperation(part=Part.PREDICT_SCORES, rows=keys, inner=scores.inner, columns=keys,
                   count=scores.count)  # fmt: skip


def _reduction(
    group: BlockGroup, branches: int, recipe: Recipe, ratio: float
) -> Iterator[PlannedOperation]:
    """Matching for the next step on this one's outputs; values of the rows not computed."""
    tokens = group.tokens * group.sequences * branches
    window = min(MATCH_WINDOW, group.tokens)
    if not recipe.is_matched_by_datm:
        window = max(1, group.tokens // 8)
    if recipe.matches_every_step or not ratio:
        yield PlannedOperation(part=Part.MATCH, rows=tokens, inner=group.channels, columns=window)
    if ratio:
        yield PlannedOperation(part=Part.RESTORE, rows=round(tokens * ratio), inner=0,
                       columns=group.channels)  # fmt: skip


def _text(group: BlockGroup, branches: int) -> Iterator[PlannedOperation]:
    """Cross-attention, or the text's own projections and feed-forward."""
    width, text = group.channels, group.text_tokens
    if group.text == "joint" and group.has_text_weights:
        rows = branches * text
        wide = 4 * width + group.ffn_channels
        yield PlannedOperation(part=Part.TEXT_LINEAR, rows=rows, inner=width, columns=wide)
        yield PlannedOperation(
            part=Part.TEXT_LINEAR, rows=rows, inner=group.ffn_channels, columns=width
        )
    if group.text == "cross":
        rows, heads = branches * group.sequences * group.tokens, group.heads * branches
        head = width // group.heads
        count, own = heads * group.sequences, group.tokens
        yield PlannedOperation(part=Part.CROSS_LINEAR, rows=rows, inner=width, columns=2 * width)
        yield PlannedOperation(
            part=Part.CROSS_LINEAR, rows=branches * text, inner=width, columns=2 * width
        )
        yield PlannedOperation(
            part=Part.CROSS_SCORES, rows=own, inner=head, columns=text, count=count
        )
        yield PlannedOperation(
            part=Part.CROSS_VALUES, rows=own, inner=text, columns=head, count=count
        )


def _feed_forward(
    group: BlockGroup, workload: Workload, recipe: Recipe, step: int
) -> Iterator[PlannedOperation]:
    dense = _dense(group, workload.branches)
    if recipe.reuses_ffn and step % (workload.ffn_interval + 1):
        yield replace(dense[Part.FFN_UP], kept=1.0, density=1.0 - workload.ffn_sparsity)
        yield replace(dense[Part.FFN_DOWN], follows=Part.FFN_UP)
    else:
        yield dense[Part.FFN_UP]
        yield dense[Part.FFN_DOWN]
