"""What an accelerated transformer tells whoever watches it: what it left out, call by call."""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor, nn

from tenuto.algorithms.eager_prediction import AttentionPlan
from tenuto.integration.call import Call
from tenuto.integration.macs import MacTable
from tenuto.integration.steps import Moment

Saving = tuple[nn.Module, float, float]
"""A module, and the shares of its own multiply-accumulates and of its attention core not done."""


class Watcher(Protocol):
    """Is told what was left out. Nothing that it gets may be changed, or kept beyond the call."""

    def see_hidden(self, moment: Moment, block_index: int, make: Callable[[], Tensor]) -> None:
        """A feed-forward reuses hidden values.

        Args:
            moment: When.
            block_index: Where.
            make: Returns bool (batch, rows, hidden), True where a value is recomputed; it costs
                memory only when called.
        """
        ...

    def see_scores(self, moment: Moment, block_index: int, plan: AttentionPlan) -> None:
        """An attention computes a part of its scores."""
        ...

    def see_call(self, call: Call, savings: Sequence[Saving], dense: MacTable) -> None:
        """A call of the transformer came to its end.

        Args:
            call: What its places decided.
            savings: Of all its places.
            dense: Multiply-accumulates of the same call without tenuto.
        """
        ...
