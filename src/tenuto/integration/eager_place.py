"""Predict an attention's scores before it projects anything, then let it compute what they leave.

The module runs its own code twice. In the first pass its query and key projections are predicted in
log-domain integers, everything behind them (norms, rotary embeddings) is the module's own, and the
attention product is only looked at: its operands give the predicted scores. In the second pass the
projections work on needed rows and the attention product on kept scores.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from tenuto.algorithms.eager_prediction import (
    AttentionPlan,
    EagerPrediction,
    multiply,
    plan_from_scores,
    quantize,
)
from tenuto.errors import UnsupportedModelError
from tenuto.integration.attended import Attended
from tenuto.integration.eager_attentions import EagerAttention, Role
from tenuto.integration.engine import Engine
from tenuto.integration.observer import ScoreLimits
from tenuto.integration.wrapping import ForwardWrap


class EagerPlace:
    """One self-, joint or cross-attention."""

    def __init__(
        self, engine: Engine, attention: EagerAttention, technique: EagerPrediction
    ) -> None:
        """Wrap the module and its projections."""
        self._engine, self._technique = engine, technique
        self._module, self._block_index = attention.module, attention.block_index
        self._is_predicting = False
        self._plan: AttentionPlan | None = None
        self._roles = attention.roles
        self._num_rows: dict[nn.Module, int] = {}
        self._shift_adds = 0
        self._wraps = [ForwardWrap(self._module, self._run)]
        for layer in self._roles:
            self._wraps.append(ForwardWrap(layer, self._around(layer)))

    def follow(self) -> bool:
        """Wrap again what another library unwrapped."""
        return any([wrap.follow() for wrap in self._wraps])

    def remove(self) -> None:
        """Unwrap."""
        for wrap in reversed(self._wraps):
            wrap.remove()

    def _run(self, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        engine = self._engine
        if engine.call is None:
            return inner(*args, **kwargs)
        if (reason := engine.must_be_exact) is not None:
            engine.counters.dense(reason)
            return inner(*args, **kwargs)
        try:
            self._predict(inner, args, kwargs)
            with Attended(self._attend):
                return inner(*args, **kwargs)
        finally:
            self._plan, self._is_predicting = None, False

    def _predict(
        self, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Run the module on predicted projections, up to its attention product."""
        self._num_rows, self._shift_adds = {}, 0
        started_s = perf_counter()
        self._is_predicting = True
        with Attended(self._look):
            inner(*args, **kwargs)
        self._is_predicting = False
        if self._plan is None:
            raise UnsupportedModelError(
                f"{type(self._module).__name__} must call torch's scaled_dot_product_attention "
                "(set the attention backend to 'native')"
            )
        self._engine.counters.predicted(self._shift_adds, perf_counter() - started_s)

    # The projections.

    def _around(self, layer: nn.Module) -> Callable[..., Tensor]:
        """Return what a projection does in either pass."""

        def around(inner: Callable[..., Tensor], args: tuple[Any, ...], kwargs: Any) -> Tensor:
            rows: Tensor = args[0]
            if self._is_predicting:
                self._num_rows[layer] = rows.shape[1]
                return self._predicted(layer, inner, rows)
            if self._plan is None or self._roles[layer] == "output":
                return inner(*args, **kwargs)
            needed = self._needed(layer).any(1)  # (batch, rows): a row is projected for all heads
            return _on_rows(inner, rows, needed)

        return around

    def _predicted(self, layer: nn.Module, inner: Callable[..., Tensor], rows: Tensor) -> Tensor:
        """Project queries and keys by shifts and adds; nothing looks at values and outputs."""
        weight: Tensor = layer.weight  # type: ignore[assignment]
        if self._roles[layer] in ("value", "output") or self._technique.predictor == "random":
            return rows.new_zeros(*rows.shape[:-1], len(weight))
        if self._technique.predictor == "exact":
            self._engine.counters.extra(rows.numel() * len(weight))
            return inner(rows)
        self._note_products(rows.numel() * len(weight))
        numbers, unit = quantize(rows, self._technique.bits, (1, 2))
        weights, weight_unit = quantize(weight.detach(), self._technique.bits, (0, 1))
        sums = multiply(numbers, weights.mT, self._technique.predictor)
        projected = sums.float() * (unit * weight_unit)
        if layer.bias is not None:
            projected = projected + layer.bias  # type: ignore[operator]
        return projected.to(rows.dtype)

    def _needed(self, layer: nn.Module) -> Tensor:
        """Return (batch, heads, rows) which rows of a projection each head needs."""
        assert self._plan is not None
        role = self._roles[layer]
        needed: Tensor = getattr(self._plan, _NEEDED[role])
        start = 0
        for other, its_role in self._roles.items():
            if other is layer:
                break
            start += self._num_rows.get(other, 0) if its_role == role else 0
        return needed[:, :, start : start + self._num_rows[layer]]

    def _needed_of_layers(self) -> dict[nn.Module, Tensor]:
        """Return `_needed` of every projection of inputs that ran."""
        return {
            layer: self._needed(layer)
            for layer, role in self._roles.items()
            if role != "output" and layer in self._num_rows
        }

    # The attention product.

    def _look(self, attention: Callable[..., Tensor], inputs: dict[str, Any]) -> Tensor:
        """Plan from the operands of the predicted pass; the product itself is not computed."""
        del attention
        if self._plan is not None:
            raise UnsupportedModelError(
                f"{type(self._module).__name__} must call scaled_dot_product_attention once"
            )
        query, key, value = inputs["query"], inputs["key"], inputs["value"]
        scores, unit = self._scores(query, key, inputs.get("scale") or query.shape[-1] ** -0.5)
        mask = inputs.get("attn_mask")
        if mask is not None:
            scores = _masked(scores, mask, unit)
        limit = self._technique.one_hot_threshold
        threshold = None if limit is None else (limit / unit).squeeze(-1)
        keep_count = self._technique.keep_count(key.shape[2])
        self._plan = plan_from_scores(scores, keep_count, threshold)
        limits = ScoreLimits(self._technique, keep_count, threshold, is_masked=mask is not None)
        self._engine.counters.observer.scores_predicted(
            self._module, self._plan, limits, self._needed_of_layers
        )
        return value.new_zeros(*query.shape[:-1], value.shape[-1])

    def _scores(self, query: Tensor, key: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Return float64 scores and (batch, heads, 1, 1) what one unit adds to the exponent."""
        technique = self._technique
        one = torch.ones(*query.shape[:2], 1, 1, dtype=torch.float64, device=query.device)
        if technique.predictor == "random":
            assert self._engine.call is not None
            seed = 2**20 * self._block_index + self._engine.call.moment.step_index
            generator = torch.Generator(query.device).manual_seed(seed)
            shape = (*query.shape[:-1], key.shape[2])
            return torch.rand(shape, generator=generator, device=query.device).double(), one
        if technique.predictor == "exact":
            self._engine.counters.extra(query.numel() * key.shape[2])
            return scale * (query.double() @ key.double().mT), one
        self._note_products(query.numel() * key.shape[2])
        queries, query_unit = quantize(query, technique.bits, (2, 3))
        keys, key_unit = quantize(key, technique.bits, (2, 3))
        self._engine.counters.observer.operands_quantized(self._module, queries, keys)
        scores = multiply(queries, keys.mT, technique.predictor)
        return scores, query_unit.double() * key_unit.double() * scale

    def _attend(self, attention: Callable[..., Tensor], inputs: dict[str, Any]) -> Tensor:
        """Compute the attention product at kept scores."""
        plan = self._plan
        assert plan is not None
        mask = inputs.get("attn_mask")
        if mask is None or mask.dtype == torch.bool:
            inputs["attn_mask"] = plan.keep if mask is None else plan.keep & mask
        else:
            inputs["attn_mask"] = torch.where(plan.keep, mask, -torch.inf).to(mask.dtype)
        self._count(plan)
        return attention(**inputs)

    # What it cost.

    def _note_products(self, num_products: int) -> None:
        """Note log-domain products: one shift and add each, four with two leading ones."""
        self._shift_adds += num_products * (1 if self._technique.predictor == "one_step" else 4)

    def _count(self, plan: AttentionPlan) -> None:
        """Count what each head did not need, whatever dense kernels did instead."""
        computed = plan.keep & ~plan.one_hot[..., None]
        savings = {
            layer: (1 - float(needed.double().mean()), 0.0)
            for layer, needed in self._needed_of_layers().items()
        }
        core = 1 - float(computed.double().mean())
        self._engine.counters.reduced({**savings, self._module: (0.0, core)})


_NEEDED: dict[Role, str] = {
    "query": "needed_queries",
    "key": "needed_keys",
    "value": "needed_values",
}


def _on_rows(inner: Callable[..., Tensor], rows: Tensor, needed: Tensor) -> Tensor:
    """Project the needed rows, (batch, rows); the others are zeros."""
    index = needed.flatten().nonzero().squeeze(1)
    if len(index) == needed.numel():
        return inner(rows)
    projected = inner(rows.reshape(-1, rows.shape[-1]).index_select(0, index)[None])[0]
    full = projected.new_zeros(needed.numel(), projected.shape[-1])
    return full.index_copy_(0, index, projected).view(*needed.shape, -1)


def _masked(scores: Tensor, mask: Tensor, unit: Tensor) -> Tensor:
    """Add an attention mask to scores: minus infinity where forbidden, biases in units."""
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -torch.inf)
    return scores + mask.double() / unit
