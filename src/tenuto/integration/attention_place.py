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
from torch import Tensor, nn

from tenuto.algorithms.restore import gather_rows
from tenuto.errors import UnsupportedModelError
from tenuto.integration.attended import Attended, check_attended
from tenuto.integration.call import Dense, Partial, Predicted
from tenuto.integration.engine import Engine
from tenuto.integration.family import BlockFamily
from tenuto.integration.foreign_caches import ANSWERED
from tenuto.integration.layer_hooks import LayerHooks, follow_all
from tenuto.integration.memory import Key
from tenuto.integration.observer import KeptRows
from tenuto.integration.row_place import merged, restore, stream_of, with_stream
from tenuto.integration.rows import PlanRows, gather_mask, gather_sequence, scatter_sequence
from tenuto.integration.text_rows import join_rows, split_rows
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
        self._stream: Tensor | None = None
        self._gathered: Tensor | None = None
        self._shares: list[float] = []  # of the attention core, one for each product
        self._saved: dict[str, float] = {}
        names = ("to_q",) if engine.reduction.keys == "all" else ("to_q", "to_k", "to_v")
        self._layers = {name: self._hooked(name, self._scatter) for name in names}
        self._has_output = getattr(module, "to_out", None) is not None
        if self._has_output:
            self._layers["to_out.0"] = self._hooked("to_out.0", self._restore)
        else:
            engine.half_attentions[key[0]] = module
        # Kept rows need no place among all rows where the processor hands them straight on.
        self._may_stay_compact = compact or (self._has_output and family.joint is None)
        self._wrap = ForwardWrap(module, self._run)

    @property
    def _stays_compact(self) -> bool:
        """Whether this call's attention product returns kept rows alone."""
        call = self._engine.call
        assert call is not None
        return self._may_stay_compact and call.shards.num_ranks == 1

    def follow(self) -> bool:
        """Hook again what another library unwrapped, or put in the place of a hooked layer."""
        has_moved = follow_all(tuple(self._layers.values()))
        return self._wrap.follow() or has_moved

    def remove(self) -> None:
        """Unhook."""
        self._wrap.remove()
        for hooks in self._layers.values():
            hooks.remove()

    def _hooked(self, name: str, after: Callable[[str, Tensor], Tensor | None]) -> LayerHooks:
        return LayerHooks(
            self._module,
            name,
            lambda layer, args: self._gather(name, args[0]),
            lambda layer, args, output: after(name, output),
        )

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
        guide, part = engine.reduction.guide, self._key[1]
        if guide == "module" or (guide == "attn" and part != "self2"):
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
        num_tokens = self._engine.call.tokens_of(self._key[0])
        return split_rows(output, num_tokens, self._family.text_first)

    def _predicted(self, stream: Tensor) -> Any:
        engine = self._engine
        if self._compact:
            nothing = stream[:, :0]
            return nothing if self._family.text_in_rows else (nothing, nothing)
        engine.counters.skipped(self._module)
        outputs = engine.forecast(self._key)
        assert outputs is not None
        if self._family.text_in_rows:
            return join_rows(outputs[0], outputs[1], self._family.text_first)
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
        stream = merged(self._engine, self._key, stream, rows, self._family.text_first)
        args, kwargs = with_stream(args, kwargs, stream)
        self._rows, self._shares, self._saved = rows, [], {}
        self._gathered = gather_rows(stream, self._kept(rows, stream.shape[1]))
        self._stream = stream
        try:
            with Attended(self._attend):
                output = inner(*args, **kwargs)
        finally:
            self._rows = self._gathered = self._stream = None
        if not self._saved:  # no layer ran: all rows, as another library keeps them
            self._engine.counters.dense(ANSWERED)
            return output
        check_attended(self._module, len(self._shares))
        self._count()
        if self._compact and not self._stays_compact:
            return gather_rows(output, self._kept(rows, output.shape[1]))
        return output if self._has_output or self._compact else self._restored(output, rows)

    def _kept(self, rows: PlanRows, num_rows: int, sample: int | None = None) -> Tensor:
        """Return the flat rows that are computed of a sequence with or without text rows."""
        return rows.kept(num_rows - rows.plan.num_tokens, self._family.text_first, sample)

    def _gather(self, name: str, rows: Tensor) -> tuple[Any, ...] | None:
        """Before a projection: its kept rows."""
        if self._rows is None:
            return None
        is_compact = name == "to_out.0" and self._stays_compact
        num_reduced = self._rows.plan.src.shape[1]
        num_rows = rows.shape[1] + is_compact * num_reduced
        self._saved[name] = num_reduced / num_rows
        flat = self._kept(self._rows, num_rows)
        kept = KeptRows(flat, len(rows), num_rows)
        self._engine.counters.observer.rows_kept(self._layers[name].layer.modules(), kept)
        if is_compact:
            return None
        if rows is self._stream:
            return (self._gathered,)
        return (gather_rows(rows, flat),)

    def _scatter(self, name: str, output: Tensor) -> Tensor | None:
        """After a projection of the input: kept rows among zeros, or among held ones."""
        held_key = (self._key[0], f"{self._key[1]} {name}")
        engine = self._engine
        holds = engine.reduction.keys == "held" and name != "to_q"
        if self._rows is None:
            if holds and engine.call is not None:
                # A copy: some processors write the position embedding into what they project.
                engine.call.memory.held[held_key] = output.detach().clone()
            return None
        num_rows = output.shape[1] + self._rows.plan.src.shape[1]
        if holds:
            assert engine.call is not None
            full = engine.call.memory.held[held_key].clone().view(-1, output.shape[-1])
        else:
            full = output.new_zeros(output.shape[0] * num_rows, output.shape[-1])
        flat = self._kept(self._rows, num_rows)
        full.index_copy_(0, flat, output.reshape(-1, output.shape[-1]))
        return full.view(output.shape[0], -1, output.shape[-1])

    def _attend(self, attention: Callable[..., Tensor], inputs: dict[str, Any]) -> Tensor:
        """Compute the attention product for kept and text queries."""
        assert self._rows is not None
        batch, _, num_rows, _ = inputs["query"].shape
        if inputs["key"].shape[2] != num_rows:
            raise UnsupportedModelError(
                f"{type(self._module).__name__} must attend to its own rows alone, got other keys "
                "(an IP-Adapter must be unloaded)"
            )
        # Some processors attend sample by sample, each with its own count of text rows.
        is_looped = batch == 1 and self._rows.plan.keep.shape[0] > 1
        flat = self._attended_rows(num_rows, batch, len(self._shares) if is_looped else None)
        inputs["query"] = gather_sequence(inputs["query"], flat)
        keeps_keys_only = self._engine.reduction.keys == "kept"
        if keeps_keys_only:
            inputs["key"] = gather_sequence(inputs["key"], flat)
            inputs["value"] = gather_sequence(inputs["value"], flat)
        mask = inputs.get("attn_mask")
        if mask is not None:
            index = flat.view(batch, -1) % num_rows
            inputs["attn_mask"] = gather_mask(mask, index, num_rows, keeps_keys_only)
        output = attention(**inputs)
        num_keys = inputs["key"].shape[2]
        kept = KeptRows(flat, batch, num_rows, num_keys)
        self._engine.counters.observer.rows_kept([self._module], kept)
        share = output.shape[2] / num_rows
        self._shares.append(share**2 if keeps_keys_only else share)
        return output if self._stays_compact else scatter_sequence(output, flat, num_rows)

    def _attended_rows(self, num_rows: int, batch: int, sample: int | None) -> Tensor:
        """Return the flat kept rows of the sequence that the attention product sees."""
        assert self._rows is not None and self._engine.call is not None
        shards = self._engine.call.shards
        if shards.num_ranks == 1:
            return self._kept(self._rows, num_rows, sample)
        own = num_rows // shards.num_ranks
        kept = self._kept(self._rows, own).view(batch, -1) % own
        rows = shards.rows_of_all(kept, own)
        return (rows + torch.arange(batch, device=rows.device)[:, None] * num_rows).flatten()

    def _count(self) -> None:
        """Count what was saved: kept rows of the projections, kept part of the score matrix."""
        savings = {
            part: (share, 0.0)
            for name, share in self._saved.items()
            for part in self._layers[name].layer.modules()
        }
        core = 1.0 - sum(self._shares) / len(self._shares)
        self._engine.counters.reduced({**savings, self._module: (0.0, core)})

    def _restore(self, name: str, output: Tensor) -> Tensor | None:
        """After the output projection: all rows."""
        if self._rows is None:
            return None
        return restore(self._engine, self._key, self._rows, output, self._family.text_first)

    def _restored(self, output: Any, rows: PlanRows) -> Any:
        """Restore the image rows of an attention that has no output projection."""
        image, text = self._streams(output)
        image = restore(self._engine, self._key, rows, gather_rows(image, rows.kept()))
        if isinstance(output, tuple):
            return image, text
        return join_rows(image, text, self._family.text_first)
