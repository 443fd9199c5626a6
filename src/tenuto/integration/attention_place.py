"""Reduce a self- or joint attention without knowing its processor.

The attention module runs its own code on all rows; only its expensive parts see fewer. Small hooks
let the projections work on kept rows and put them back among zeros, a torch function mode lets the
attention product see kept queries (and keys), and the output projection restores all rows. Norms
and position embeddings run on all rows at their own places, so every sample of a batch can have
its own pairs whatever the family.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from tenuto.algorithms.restore import gather_rows
from tenuto.errors import UnsupportedModelError
from tenuto.integration.call import Dense, Partial, Predicted
from tenuto.integration.engine import Engine
from tenuto.integration.families import BlockFamily
from tenuto.integration.memory import Key
from tenuto.integration.row_place import merged, restore, stream_of, with_stream
from tenuto.integration.rows import PlanRows, gather_sequence, scatter_sequence
from tenuto.integration.wrapping import ForwardWrap


class AttentionPlace:
    """One self- or joint attention.

    With `compact`, its output is not restored: kept and text rows go on to a fused projection.
    """

    def __init__(
        self,
        engine: Engine,
        module: nn.Module,
        family: BlockFamily,
        key: Key,
        pairs_key: Key,
        compact: bool = False,
    ) -> None:
        """Hook the module and its projections."""
        self._engine, self._module, self._family = engine, module, family
        self._key, self._pairs_key, self._compact = key, pairs_key, compact
        self._rows: PlanRows | None = None
        self._num_text = 0
        self._stream: Tensor | None = None
        self._gathered: Tensor | None = None
        self._num_attended = 0
        has_output = getattr(module, "to_out", None) is not None
        self._output: nn.Module | None = module.to_out[0] if has_output else None  # type: ignore[index]
        # Kept rows need no place among all rows where the processor hands them straight on.
        self._stays_compact = compact or (has_output and family.joint is None)
        names = ("to_q",) if engine.reduction.keys == "all" else ("to_q", "to_k", "to_v")
        self._reduced: dict[nn.Module, str] = {getattr(module, name): name for name in names}
        self._hooks = self._hook_projections()
        self._wrap = ForwardWrap(module, self._run)

    def remove(self) -> None:
        """Unhook."""
        self._wrap.remove()
        for hook in self._hooks:
            hook.remove()

    def _hook_projections(self) -> list[RemovableHandle]:
        hooks = []
        for layer in self._reduced:
            hooks.append(layer.register_forward_pre_hook(self._gather))
            hooks.append(layer.register_forward_hook(self._scatter))
        if self._output is not None:
            hooks.append(self._output.register_forward_pre_hook(self._gather))
            hooks.append(self._output.register_forward_hook(self._restore))
        return hooks

    def _run(self, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        engine = self._engine
        if engine.call is None:
            return inner(*args, **kwargs)
        match engine.decide(self._key, self._pairs_key):
            case Dense(reason):
                return self._dense(inner(*args, **kwargs), reason)
            case Predicted():
                return self._predicted(stream_of(args, kwargs))
            case Partial(rows):
                return self._partial(rows, inner, args, kwargs)

    def _dense(self, output: Any, reason: str) -> Any:
        """Let the engine learn from a dense output; it goes on untouched."""
        engine = self._engine
        if engine.reduction.guide in ("module", "attn"):
            engine.match(self._pairs_key, self._key[0], self._streams(output)[0])
        if not self._compact:  # else the fused projection counts and remembers for both
            engine.counters.dense(reason)
            engine.remember(self._key, self._streams(output))
        return output

    def _streams(self, output: Any) -> tuple[Tensor, ...]:
        """Image rows of an output, and text rows where it has any."""
        if isinstance(output, tuple):
            return output
        if not self._family.text_in_rows:
            return (output,)
        assert self._engine.call is not None
        num_text = output.shape[1] - self._engine.call.num_tokens
        return (output[:, num_text:], output[:, :num_text])

    def _predicted(self, stream: Tensor) -> Any:
        engine = self._engine
        if self._compact:
            return stream[:, :0]
        engine.counters.skipped(self._module)
        outputs = engine.forecast(self._key)
        assert outputs is not None
        if self._family.text_in_rows:
            return torch.cat([outputs[1], outputs[0]], 1)
        image, *text = outputs
        return (image, *text) if text else image

    def _partial(
        self,
        rows: PlanRows,
        inner: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Run the module's own code, its projections and attention product on fewer rows."""
        stream = stream_of(args, kwargs)
        self._num_text = stream.shape[1] - rows.plan.num_tokens
        if self._engine.reduction.merge:
            stream = merged(stream, rows)
            args, kwargs = with_stream(args, kwargs, stream)
        self._rows, self._num_attended = rows, 0
        self._gathered = gather_rows(stream, rows.kept(self._num_text))
        self._stream = stream
        try:
            with _Attended(self._attend):
                output = inner(*args, **kwargs)
        finally:
            self._rows = self._gathered = self._stream = None
        if self._num_attended == 0:
            raise UnsupportedModelError(
                f"{type(self._module).__name__} must call torch's scaled_dot_product_attention "
                "(set the attention backend to 'native')"
            )
        if self._output is None and not self._compact:
            output = self._restored(output, rows)
        return output

    def _gather(self, layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Before a projection: its kept rows."""
        if self._rows is None:
            return None
        rows = args[0]
        if rows is self._stream:
            return (self._gathered,)
        if layer is self._output and self._stays_compact:
            return None
        num_text = rows.shape[1] - self._rows.plan.num_tokens
        return (gather_rows(rows, self._rows.kept(num_text)),)

    def _scatter(self, layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """After a projection of the input: kept rows among zeros, or among held ones."""
        held_key = (self._key[0], self._reduced[layer])
        engine = self._engine
        holds = engine.reduction.keys == "held" and held_key[1] != "to_q"
        if self._rows is None:
            if holds and engine.call is not None:
                engine.call.memory.held[held_key] = output.detach()
            return None
        flat = self._rows.kept(self._num_text)
        if holds:
            assert engine.call is not None
            full = engine.call.memory.held[held_key].clone().view(-1, output.shape[-1])
        else:
            num_rows = output.shape[0] * (self._rows.plan.num_tokens + self._num_text)
            full = output.new_zeros(num_rows, output.shape[-1])
        full.index_copy_(0, flat, output.reshape(-1, output.shape[-1]))
        return full.view(output.shape[0], -1, output.shape[-1])

    def _attend(self, attention: Callable[..., Tensor], inputs: dict[str, Any]) -> Tensor:
        """Compute the attention product for kept and text queries."""
        assert self._rows is not None
        self._num_attended += 1
        num_rows = inputs["query"].shape[2]
        num_text = num_rows - self._rows.plan.num_tokens
        flat = self._rows.kept(num_text, self._family.joint != "image_first")
        inputs["query"] = gather_sequence(inputs["query"], flat)
        keeps_keys_only = self._engine.reduction.keys == "kept"
        if keeps_keys_only:
            inputs["key"] = gather_sequence(inputs["key"], flat)
            inputs["value"] = gather_sequence(inputs["value"], flat)
        mask = inputs.get("attn_mask")
        if mask is not None:
            inputs["attn_mask"] = self._masked(mask, flat, num_rows, keeps_keys_only)
        output = attention(**inputs)
        self._count(output.shape[2] / num_rows, keeps_keys_only)
        return output if self._stays_compact else scatter_sequence(output, flat, num_rows)

    def _masked(self, mask: Tensor, flat: Tensor, num_rows: int, keys_too: bool) -> Tensor:
        """Return the mask's rows of kept queries, and its columns of kept keys."""
        assert self._rows is not None
        batch = self._rows.plan.keep.shape[0]
        index = flat.view(batch, -1) % num_rows  # (batch, kept)
        mask = mask.expand(batch, *mask.shape[1:])
        if mask.shape[2] == num_rows:
            rows = index[:, None, :, None].expand(-1, mask.shape[1], -1, mask.shape[3])
            mask = mask.gather(2, rows)
        if keys_too:
            columns = index[:, None, None, :].expand(-1, mask.shape[1], mask.shape[2], -1)
            mask = mask.gather(3, columns)
        return mask

    def _count(self, queries_share: float, keeps_keys_only: bool) -> None:
        """Count what was saved: kept rows of the projections, kept part of the score matrix."""
        assert self._rows is not None
        plan = self._rows.plan
        rows_saved = plan.src.shape[1] / (plan.num_tokens + self._num_text)
        core = queries_share * (queries_share if keeps_keys_only else 1.0)
        layers = [*self._reduced, *([] if self._output is None else [self._output])]
        savings = {layer: (rows_saved, 0.0) for layer in layers}
        self._engine.counters.reduced({**savings, self._module: (0.0, 1.0 - core)})

    def _restore(self, layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """After the output projection: all rows."""
        if self._rows is None:
            return None
        return restore(self._engine, self._key, self._rows, output)

    def _restored(self, output: Tensor, rows: PlanRows) -> Tensor:
        """Restore the image rows of an attention that has no output projection."""
        text, image = output[:, : self._num_text], output[:, self._num_text :]
        kept = gather_rows(image, rows.kept())
        return torch.cat([text, restore(self._engine, self._key, rows, kept)], 1)


class _Attended(TorchFunctionMode):
    """Hand every scaled_dot_product_attention inside the mode to a function."""

    _NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")

    def __init__(self, attend: Callable[[Callable[..., Tensor], dict[str, Any]], Tensor]) -> None:
        super().__init__()
        self._attend = attend

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        return self._attend(func, {**dict(zip(self._NAMES, args, strict=False)), **kwargs})
