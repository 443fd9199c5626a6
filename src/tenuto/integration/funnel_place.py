"""Reduce queries apart from keys and values inside an attention product, all projections dense."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tenuto.algorithms.match_plan import MatchPlan, flat_rows
from tenuto.algorithms.matching import num_reduced_of
from tenuto.algorithms.reduction import Funnel
from tenuto.algorithms.restore import gather_rows
from tenuto.algorithms.schedule import Schedule
from tenuto.integration.attended import Attended, check_attended
from tenuto.integration.call import TOO_SMALL
from tenuto.integration.engine import Engine
from tenuto.integration.memory import Key
from tenuto.integration.observer import KeptRows
from tenuto.integration.pairing import find_pairs, is_matched
from tenuto.integration.wrapping import ForwardWrap


class FunnelPlace:
    """One self- or joint attention, reduced where its own code calls torch's attention product.

    Queries, keys and values arrive there with their norms and position embeddings. Text rows are
    never reduced.
    """

    def __init__(
        self, engine: Engine, funnel: Funnel, module: nn.Module, text_first: bool, key: Key
    ) -> None:
        """Hook the module, whose block and part are `key`."""
        self._engine, self._funnel, self._module = engine, funnel, module
        self._is_text_first, self._key = text_first, key
        self._shares: list[float] = []
        self._wrap = ForwardWrap(module, self._run)

    def follow(self) -> bool:
        """Wrap again what another library unwrapped."""
        return self._wrap.follow()

    def remove(self) -> None:
        """Unhook."""
        self._wrap.remove()

    def _run(self, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call, counters = self._engine.call, self._engine.counters
        if call is None:
            return inner(*args, **kwargs)
        index = self._key[0]
        if call.row[index] == 0 or index in call.unfit:
            is_planned = call.row[index] == 0
            counters.dense(call.dense_reason if is_planned else TOO_SMALL)
            return inner(*args, **kwargs)
        self._shares = []
        with Attended(self._attend):
            output = inner(*args, **kwargs)
        check_attended(self._module, len(self._shares))
        share = sum(self._shares) / len(self._shares)
        counters.reduced({self._module: (0.0, 1.0 - share)})
        return output

    def _attend(self, attention: Callable[..., Tensor], inputs: dict[str, Any]) -> Tensor:
        """Compute the attention product of the rows that are not left out."""
        # Some attentions call the product once a sample: each such call has pairs of its own.
        number = len(self._shares)
        queries = self._plan(f"queries {number}", self._funnel.queries, inputs["query"])
        keys = self._plan(f"keys {number}", self._funnel.keys, inputs["value"])
        whole = inputs["query"].shape[2] * inputs["key"].shape[2]
        output, rows, num_keys = attend_to_rows(
            attention, inputs, queries, keys, self._is_text_first
        )
        num_rows = inputs["query"].shape[2]
        num_queries = num_rows if rows is None else rows.shape[1]
        self._shares.append(num_queries * num_keys / whole)
        flat = None if rows is None else flat_rows(rows, num_rows)
        kept = KeptRows(flat, inputs["query"].shape[:2].numel(), num_rows, num_keys)
        self._engine.counters.observer.rows_kept([self._module], kept)
        return output

    def _plan(self, name: str, schedule: Schedule, sequence: Tensor) -> MatchPlan | None:
        """Return the pairs of one feature's rows at this step, None where all of them stay."""
        engine, call = self._engine, self._engine.call
        assert call is not None
        index, part = self._key
        step_index, num_tokens = call.moment.step_index, call.tokens_of(index)
        ratio = schedule.row(step_index, engine.num_blocks)[index]
        if ratio == 0:
            return None
        key: Key = (index, f"{part} {name}")
        if not is_matched(call, engine.reduction, key):
            start = sequence.shape[2] - num_tokens if self._is_text_first else 0
            image = sequence.narrow(2, start, num_tokens)
            per_head = self._funnel.per_head
            features = image.flatten(0, 1) if per_head else image.transpose(1, 2).flatten(2)
            largest = max(schedule.ratios())  # a later step of these pairs may reduce more
            find_pairs(call, engine.reduction, engine.counters, key, features, largest)
        return call.memory.pairs[key].rows(num_reduced_of(num_tokens, ratio), step_index).plan


def attend_to_rows(
    attention: Callable[..., Tensor],
    inputs: dict[str, Any],
    queries: MatchPlan | None,
    keys: MatchPlan | None,
    text_first: bool,
) -> tuple[Tensor, Tensor | None, int]:
    """Compute an attention product without reduced rows; a reduced query gets its partner's output.

    Args:
        attention: torch's product.
        inputs: Its arguments by name; query, key and value are (batch, heads, rows, head_dim), all
            rows that are not in a plan are text.
        queries: Pairs of the query rows, a sample for each (batch, head), or for each of the batch
            where heads share them; None leaves out none.
        keys: The same for key and value rows.
        text_first: Text rows stand before the others, else after them.

    Returns:
        (batch, heads, rows, head_dim); the (batch * heads, picked) rows that were computed, None
        where all were; how many keys each of them saw.
    """
    inputs, num_rows, computed = dict(inputs), inputs["query"].shape[2], None
    leading = inputs["query"].shape[:2]
    if keys is not None:
        rows = _kept_rows(keys, inputs["key"], text_first)
        inputs |= {name: _picked(inputs[name], rows) for name in ("key", "value")}
        inputs["attn_mask"] = _masked(inputs.get("attn_mask"), rows.unflatten(0, leading), 3)
    if queries is not None:
        rows = _kept_rows(queries, inputs["query"], text_first)
        inputs["query"], computed = _picked(inputs["query"], rows), rows
        inputs["attn_mask"] = _masked(inputs.get("attn_mask"), rows.unflatten(0, leading), 2)
    output = attention(**inputs)
    if queries is not None:
        output = _picked(output, _source_rows(queries, num_rows, leading.numel(), text_first))
    return output, computed, inputs["key"].shape[2]


def _kept_rows(plan: MatchPlan, sequence: Tensor, text_first: bool) -> Tensor:
    """Return each head's kept rows of a sequence, text where it stands, (batch * heads, kept)."""
    batch, heads, num_rows, _ = sequence.shape
    keep = plan.keep.repeat_interleave(batch * heads // len(plan.keep), 0)
    return _with_text(keep, num_rows - plan.num_tokens, plan.num_tokens, text_first)


def _source_rows(plan: MatchPlan, num_rows: int, num_heads: int, text_first: bool) -> Tensor:
    """Return, for each row of the whole sequence, the computed row that stands for it."""
    slots = plan.slots().repeat_interleave(num_heads // len(plan.keep), 0)
    return _with_text(slots, num_rows - plan.num_tokens, plan.keep.shape[1], text_first)


def _with_text(image: Tensor, num_text: int, num_image: int, text_first: bool) -> Tensor:
    """Add text rows to row numbers of the image, which has `num_image` rows."""
    start = 0 if text_first else num_image
    text = torch.arange(start, start + num_text, device=image.device).expand(len(image), -1)
    return torch.cat([text, image + num_text] if text_first else [image, text], 1)


def _picked(sequence: Tensor, rows: Tensor) -> Tensor:
    """Pick rows of (batch, heads, rows, head_dim) by (batch * heads, picked) row numbers."""
    flat = sequence.flatten(0, 1)
    return gather_rows(flat, flat_rows(rows, flat.shape[1])).unflatten(0, sequence.shape[:2])


def _masked(mask: Tensor | None, rows: Tensor, axis: int) -> Tensor | None:
    """Return a mask's rows (axis 2) or columns (axis 3) of the picked (batch, heads, picked)."""
    if mask is None or mask.shape[axis - 4] == 1:
        return mask
    mask = mask.expand(*rows.shape[:2], *mask.shape[-2:])
    index = rows[..., None] if axis == 2 else rows[..., None, :]
    shape = [*mask.shape]
    shape[axis] = rows.shape[2]
    return mask.gather(axis, index.expand(shape))
