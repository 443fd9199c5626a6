"""What outlives a call of the transformer, for one guidance branch: histories, pairs, marks."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.integration.history import History
from tenuto.integration.reused_hidden import ReusedHidden
from tenuto.integration.rows import PlanRows

Key = tuple[int, str]
"""Block index and what it is about in that block."""


class Pairs:
    """The pairs that a Matching step found in one block, and how often they were used.

    Attributes:
        step_index: Step in which they were found.
        num_reduced: Tokens that may be reduced; less than all where ranks have to agree.
    """

    def __init__(
        self,
        plan: MatchPlan,
        approximated: Tensor | None,
        num_reduced_steps: int,
        step_index: int,
    ) -> None:
        """Take the plan at the largest ratio, and the counts carried over from the pairs before.

        Args:
            plan: Reduced tokens in falling order of similarity.
            approximated: (batch, tokens) int32 steps in which each token was approximated so far.
            num_reduced_steps: Steps in which any was.
            step_index: Step in which the pairs were found.
        """
        self._plan = plan.with_dtype(torch.int32)
        self.num_reduced = plan.src.shape[1]
        self.step_index = step_index
        self._before = approximated
        self._steps_before = num_reduced_steps
        self._rows: dict[int, PlanRows] = {}
        self._uses: dict[int, set[int]] = {}

    @property
    def plan(self) -> MatchPlan:
        """The plan at the largest ratio."""
        return self._plan.with_dtype(torch.int64)

    def rest(self) -> None:
        """Drop the rows: between calls, pairs are two int32 a token."""
        self._rows.clear()

    def rows(self, num_reduced: int, step_index: int) -> PlanRows:
        """Return the rows that reduce `num_reduced` tokens, and note the use in this step.

        A plan with soft weights reduces what it was made for. Rows are made once a
        call.
        """
        if self._plan.soft is not None:
            num_reduced = self._plan.src.shape[1]
        if num_reduced not in self._rows:
            self._rows[num_reduced] = PlanRows(self.plan.narrowed(num_reduced))
        self._uses.setdefault(num_reduced, set()).add(step_index)
        return self._rows[num_reduced]

    def approximated(self) -> tuple[Tensor, int]:
        """Return the steps in which each token was approximated, and all reduced steps, so far."""
        count, src = self._before, self.plan.src
        if count is None:
            shape = (src.shape[0], self._plan.num_tokens)
            count = torch.zeros(shape, dtype=torch.int32, device=src.device)
        steps = self._steps_before
        for num_reduced, uses in self._uses.items():
            reduced = src[:, :num_reduced]
            used = torch.full_like(reduced, len(uses), dtype=torch.int32)
            count = count.scatter_add(1, reduced, used)
            steps += len(uses)
        return count, steps

    def tensors(self) -> Iterator[Tensor]:
        """Go through the indices and counts."""
        yield from self._plan.tensors()
        if self._before is not None:
            yield self._before
        for rows in self._rows.values():
            yield from rows.tensors()


@dataclass(slots=True)
class BranchMemory:
    """Everything remembered of one guidance branch between calls.

    Attributes:
        histories: Dense outputs by place.
        pairs: Pairs by block and guide.
        guides: Last dense guide features, kept only to match on their drift.
        held: Projected keys and values of the last dense step, ``keys="held"`` only.
        reused: What FFN-Reuse keeps of the last dense iteration, by feed-forward.
        hidden: Hidden layers of the last dense iteration, FFN-Reuse by change only.
    """

    histories: dict[Key, History] = field(default_factory=dict)
    pairs: dict[Key, Pairs] = field(default_factory=dict)
    guides: dict[Key, Tensor] = field(default_factory=dict)
    held: dict[Key, Tensor] = field(default_factory=dict)
    reused: dict[Key, ReusedHidden] = field(default_factory=dict)
    hidden: dict[Key, Tensor] = field(default_factory=dict)

    def rest(self) -> None:
        """Drop what can be made again from the rest, at the end of a call."""
        for pairs in self.pairs.values():
            pairs.rest()

    @property
    def state_bytes(self) -> int:
        """Bytes that all of it holds; what several tensors share counts once."""
        storages = (tensor.untyped_storage() for tensor in self._tensors())
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    def _tensors(self) -> Iterator[Tensor]:
        for part in (*self.histories.values(), *self.pairs.values()):
            yield from part.tensors()
        yield from self.guides.values()
        yield from self.held.values()
        for reused in self.reused.values():
            yield from (reused.marks, reused.partial)
        yield from self.hidden.values()
