"""One accelerated transformer: decide for each place and call, remember, count."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from tenuto.algorithms.matching import num_reduced_of
from tenuto.algorithms.reduction import Reduction
from tenuto.algorithms.schedule import predicted_spans, with_zeros
from tenuto.errors import NonFiniteError
from tenuto.integration.call import SPAN, Call, Decision, Dense, Partial, Predicted, span_key
from tenuto.integration.counters import Counters
from tenuto.integration.families import Grid, ModelFamily
from tenuto.integration.foreign_caches import barred_blocks
from tenuto.integration.history import History
from tenuto.integration.macs import MacCounter
from tenuto.integration.memory import BranchMemory, Key
from tenuto.integration.pairing import check_grid, coming_ratios, find_pairs, is_matched
from tenuto.integration.shards import shards_of
from tenuto.integration.steps import Moment, StepTracker, noise_level


class Engine:
    """Decides what each hooked place does, and keeps what it needs for that.

    The places (`tenuto.integration.sites`) ask `decide`, report what they computed, and get
    forecasts; nothing here knows how a module is called.
    """

    def __init__(
        self,
        model: nn.Module,
        family: ModelFamily,
        reduction: Reduction,
        tracker: StepTracker,
        predicts_blocks: bool,
    ) -> None:
        """Hook nothing yet.

        Args:
            model: The transformer.
            family: Its row in the table.
            reduction: What to do.
            tracker: Tells the step and guidance branch of each call.
            predicts_blocks: Runs of blocks with ratio 1 are forecast as one.
        """
        self.reduction = reduction
        self.num_blocks = len(family.blocks_of(model))
        self.counters = Counters()
        self.call: Call | None = None
        self.is_paused = False
        self.predicts_blocks = predicts_blocks
        ratios = reduction.schedule.ratios() if reduction.predict != "none" else ()
        self._forecasts_spans = predicts_blocks and 1.0 in ratios
        self._forecasts_modules = any(0 < r < 1 or (r == 1 and not predicts_blocks) for r in ratios)
        self.idle_places: dict[str, int] = {}
        self.approximates_every_call = False
        self.half_attentions: dict[int, nn.Module] = {}
        self._model, self._family, self._tracker = model, family, tracker
        self._memories: dict[int, BranchMemory] = {}
        self._parameters = tuple(inspect.signature(type(model).forward).parameters)[1:]
        self._counting: MacCounter | None = None
        self._shapes: tuple[object, ...] = ()
        self._stopped: str | None = None
        self._reduced_before, self._is_passed_by = 0, False
        self.check_run: Callable[[Moment], None] = lambda moment: None

    def reset(self, num_steps: int | None = None) -> None:
        """Forget everything but the counts; the next call begins a run of so many steps."""
        self._memories.clear()
        self._tracker.forget(num_steps)
        self.abort()

    # The model's own call: before and after.

    def enter(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before the model runs: place the call in its run and look up what each block does."""
        self.abort()  # torch tells no hook of a KeyboardInterrupt
        if self.is_paused:
            return
        inputs = {**dict(zip(self._parameters, args, strict=False)), **kwargs}
        tensors = {name: value for name, value in inputs.items() if isinstance(value, Tensor)}
        self._shapes = tuple((name, tuple(value.shape)) for name, value in tensors.items())
        # Guidance branches may have texts of different lengths: only the image decides on a run.
        image = tuple(inputs[self._family.latents].shape)
        moment = self._tracker.enter(noise_level(inputs["timestep"]), image)
        if moment.is_new_run:
            self._memories.clear()
            self._stopped, self._reduced_before = None, self.counters.calls_reduced
            self.check_run(moment)
        self.counters.observer.call_begins(moment, inputs)
        shards = shards_of(model)
        grid = shards.grid(self._family.grid_of(model, inputs))
        if grid is None:
            self._is_passed_by = True
            places = self.counters.modules_hooked
            self.counters.dense("image rows do not match one token grid", places)
        else:
            self.call = self._begin(moment, inputs, grid)
            self.call.shards = shards
        self._count_dense(model, args, kwargs)

    def leave(self, model: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """After the model ran to its end: count, and see that the numbers are sound."""
        del args
        call, self.call = self.call, None
        if call is None and not self._is_passed_by:
            return
        if self._counting is not None:
            self.counters.tables[self._shapes] = self._counting.stop()
            self._counting = None
        self._tracker.leave()
        self._is_passed_by = False
        if call is None:
            self.counters.call_done(self._shapes, 0)
            return
        for reason, places in self.idle_places.items():
            self.counters.dense(reason, places)
        call.memory.rest()
        self.counters.call_done(self._shapes, sum(m.state_bytes for m in self._memories.values()))
        self._check_finite(output, call)
        if call.moment.is_last:
            self._memories.pop(call.moment.branch, None)

    def abort(self) -> None:
        """After the model raised: stop watching, and forget the call."""
        if self._counting is not None:
            self._counting.stop()
            self._counting = None
        self.call = None
        self._is_passed_by = False
        self.counters.call_lost()

    # What the places ask and report.

    def decide(self, key: Key, pairs_key: Key) -> Decision:
        """Return what a place does in this call; the same answer however often it is asked."""
        call = self.call
        assert call is not None
        if key not in call.decisions:
            call.decisions[key] = self._decide(call, key, pairs_key)
        return call.decisions[key]

    def remember(self, key: Key, outputs: tuple[Tensor, ...]) -> None:
        """Take the outputs of a place that ran dense into its history."""
        call = self.call
        assert call is not None
        is_span = key[1].startswith(SPAN)
        if not (self._forecasts_spans if is_span else self._forecasts_modules):
            return
        r, history = self.reduction, call.memory.histories.get(key)
        if history is None:
            predict = r.predict if is_span else r.predict_alone
            history = History(predict, r.history_bits, r.fitted_weights)
            call.memory.histories[key] = history
        history.push(call.moment.step_index, outputs)
        self.counters.observer.remembered(key, outputs)

    def forecast(self, key: Key) -> tuple[Tensor, ...] | None:
        """Return a place's forecast for this step, None where nothing is forecast."""
        call = self.call
        assert call is not None
        history = call.memory.histories.get(key)
        if history is None or history.is_empty:
            return None
        outputs = history.forecast(call.moment.step_index)
        self.counters.extra(sum(o.numel() for o in outputs) * history.num_outputs)
        self.counters.observer.forecast(key, outputs, history.num_outputs)
        return outputs

    @property
    def must_be_exact(self) -> str | None:
        """Why nothing may be approximated in this call, None where it may."""
        return self._stopped or (None if self._counting is None else "operations are counted")

    def match(self, key: Key, block_index: int, features: Tensor) -> None:
        """Pair a block's tokens on features, if a coming step of this run will use the pairs.

        Args:
            key: Under which the pairs are kept.
            block_index: Whose schedule decides.
            features: (batch, tokens, channels) of image tokens.
        """
        assert self.call is not None
        if block_index in self.call.unfit:
            return
        ratio = self.call.next_ratios[block_index]
        find_pairs(self.call, self.reduction, self.counters, key, features, ratio)

    def see_grid(self, blocks: Sequence[int], grid: Grid) -> None:
        """Note the token grid of blocks that have their own, before they run."""
        if self.call is None:
            return
        self.call.grids.update(dict.fromkeys(blocks, grid))
        try:
            check_grid(self.reduction, grid)
        except ValueError:
            self.call.unfit.update(blocks)

    def merges(self, block_index: int) -> bool:
        """Return whether a block's reduced tokens are merged into kept ones, not dropped."""
        return self.reduction.merge and block_index >= self.num_blocks * self.reduction.merge_from

    # How.

    def _begin(self, moment: Moment, inputs: Mapping[str, Any], grid: Grid) -> Call:
        """Look up the ratios of this step, and replace by 0 what cannot be done."""
        if moment.is_new_run and grid:
            check_grid(self.reduction, grid)
        memory = self._memories.setdefault(moment.branch, BranchMemory())
        row = self.reduction.schedule.row(moment.step_index, self.num_blocks)
        reason = "dense step of the schedule"
        blocking = [n for n in self._family.residual_inputs if inputs.get(n) is not None]
        if self._stopped or (blocking and self.predicts_blocks):
            row = (0.0,) * self.num_blocks
            reason = self._stopped or f"{blocking[0]} given"
        skip: dict[int, tuple[int, int]] = {}
        for span in predicted_spans(row) if self.predicts_blocks else ():
            history = memory.histories.get(span_key(*span))
            if history is None or history.is_empty:
                row = with_zeros(row, span)
                reason = "no history yet"
            else:
                skip.update(dict.fromkeys(range(span[0], span[1] + 1), span))
        return Call(
            moment,
            memory,
            row,
            coming_ratios(self.reduction, moment.step_index, self.num_blocks),
            reason,
            grid,
            prod(grid),
            skip,
            barred=barred_blocks(self.half_attentions),
        )

    def _decide(self, call: Call, key: Key, pairs_key: Key) -> Decision:
        ratio = call.row[key[0]]
        if (reason := call.why_dense(key[0])) is not None:
            return Dense(reason)
        if self.reduction.predict != "none":
            history = call.memory.histories.get(key)
            if history is None or history.is_empty:
                return Dense("no history yet")
        if ratio == 1:
            return Predicted()
        return self._partial(call, key, pairs_key, ratio)

    def _partial(self, call: Call, key: Key, pairs_key: Key, ratio: float) -> Partial | Dense:
        """Return the rows to compute, where there are pairs."""
        if self.reduction.guide == "input" and not is_matched(call, self.reduction, pairs_key):
            self.match(pairs_key, key[0], call.inputs[key[0]])
        pairs = call.memory.pairs.get(pairs_key)
        if pairs is None:
            return Dense("no pairs yet")
        possible = num_reduced_of(call.tokens_of(key[0]), ratio)
        num_reduced = min(possible, pairs.num_reduced)
        if num_reduced == 0:
            return Dense(call.why_none(possible))
        return Partial(pairs.rows(num_reduced, call.moment.step_index))

    def _count_dense(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Make sure that the operations of a dense call with these shapes are known."""
        if self._shapes in self.counters.tables:
            return
        counter = MacCounter(model)
        counter.start()
        if not self.approximates_every_call and (self.call is None or not any(self.call.row)):
            self._counting = counter  # this call is dense itself: `leave` stops the counter
            return
        # A technique that reduces its very first call: one dense forward more, for the count alone.
        call, self.call, self.is_paused = self.call, None, True
        try:
            model(*args, **kwargs)
        finally:
            self.call, self.is_paused = call, False
            table = counter.stop()
        self.counters.tables[self._shapes] = table

    def _check_finite(self, output: Any, call: Call) -> None:
        """Stop reducing after NaN or infinity; raise where reduction may be the cause."""
        tensor = output[0] if isinstance(output, tuple) else output.sample
        if self._stopped or bool(torch.isfinite(tensor).all()):
            return
        self._memories.clear()
        self._stopped = "non-finite activations"
        if self.counters.is_strict and self.counters.calls_reduced > self._reduced_before:
            raise NonFiniteError(
                f"the output of step {call.moment.step_index} must be finite, got NaN or infinity "
                "in a run with reduced calls; accelerate with strict=False to go on densely, or "
                "run without tenuto to see whether the model itself overflows"
            )
