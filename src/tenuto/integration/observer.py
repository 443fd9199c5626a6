"""What places tell of each call beyond counts: which rows, values and scores they left out.

A recorder of traces and the maps of a report implement `Observer`. Where nobody listens,
`UNOBSERVED` does, and nothing is computed for it: everything passed on is at hand anyway, or a
function.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from tenuto.algorithms.eager_prediction import AttentionPlan, EagerPrediction
from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.reduction import Matcher
from tenuto.integration.family import Grid
from tenuto.integration.feed_forward import FeedForwardLayers
from tenuto.integration.macs import MacTable
from tenuto.integration.memory import Key
from tenuto.integration.reused_hidden import GatheredRows
from tenuto.integration.steps import Moment

Saving = tuple[nn.Module, float, float]
"""A module, and the shares of its own multiply-accumulates and of its attention core not done."""


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Rows that token reduction left to a layer, or to an attention product as queries.

    Attributes:
        flat: Their indices in the flattened (samples * rows) axis, the same count a sample; None
            where all rows are left.
        samples: Of the batch; times heads, where each has its own rows.
        num_rows: Rows of a sample before.
        num_keys: Keys that were left to an attention product; None where all were, or for a layer.
    """

    flat: Tensor | None
    samples: int
    num_rows: int
    num_keys: int | None = None


@dataclass(frozen=True, slots=True)
class Matching:
    """One matching of a block's tokens.

    Attributes:
        key: Block and guide.
        features: (batch, tokens, channels) that were matched.
        plan: What was found.
        matcher: With what, None for one destination a window.
        grid: Of the tokens.
        ratio: Largest share to be reduced.
        macs: Multiply-accumulates of it.
    """

    key: Key
    features: Tensor
    plan: MatchPlan
    matcher: Matcher | None
    grid: Grid
    ratio: float
    macs: int


@dataclass(frozen=True, slots=True)
class ScoreLimits:
    """How an attention's plan was made of its predicted scores.

    Attributes:
        technique: Predictor and bits.
        keep_count: Scores kept in each row.
        threshold: Of one-hot rows, in units of the scores, broadcasts against (batch, heads,
            queries); None takes no row for one-hot.
        is_masked: A mask or bias was added to the scores.
    """

    technique: EagerPrediction
    keep_count: int
    threshold: Tensor | None
    is_masked: bool


class Observer(Protocol):
    """Listens to one transformer. Nothing it is given may be written to or kept."""

    def call_begins(self, moment: Moment, inputs: Mapping[str, Any]) -> None:
        """Take note of the call that the following is about, and of its arguments by name."""

    def call_ends(self, table: MacTable, savings: Sequence[Saving]) -> None:
        """Take what the same call costs densely, and what was saved of it; it came to its end."""

    def call_lost(self) -> None:
        """Forget the call: it did not come to its end."""

    def skipped(self, module: nn.Module) -> None:
        """Note a module that computed nothing, with everything in it."""

    def rows_kept(self, modules: Iterable[nn.Module], kept: KeptRows) -> None:
        """Note layers, or an attention for its product, that saw fewer rows."""

    def hidden_live(
        self,
        layers: FeedForwardLayers,
        marks: Tensor,
        gathered: GatheredRows | None,
        live: Callable[[], Tensor],
    ) -> None:
        """Note which hidden values a feed-forward computed.

        Args:
            layers: Of the feed-forward.
            marks: The tensor that decided; the same one as long as decisions stay.
            gathered: Rows that token reduction left to it, None where all.
            live: Returns (batch, rows, hidden) bool.
        """

    def operands_quantized(self, attention: nn.Module, queries: Tensor, keys: Tensor) -> None:
        """Note (batch, heads, rows, head_dim) whole numbers whose products predict scores."""

    def scores_predicted(
        self,
        attention: nn.Module,
        plan: AttentionPlan,
        limits: ScoreLimits,
        needed: Callable[[], Mapping[nn.Module, Tensor]],
    ) -> None:
        """Note what an attention will compute; `needed`: (batch, heads, rows) by projection."""

    def matched(self, matching: Matching) -> None:
        """Note a matching."""

    def restored(self, key: Key, plan: MatchPlan, grid: Grid, channels: int) -> None:
        """Note the reduced tokens of a plan, on their grid: they took values from partners."""

    def forecast(self, key: Key, outputs: tuple[Tensor, ...], num_outputs: int) -> None:
        """Note outputs that were forecast from so many stored ones."""

    def remembered(self, key: Key, outputs: tuple[Tensor, ...]) -> None:
        """Note outputs that were stored."""

    def added(self, macs: int) -> None:
        """Note multiply-accumulates of a technique, matching excluded."""


class _Unobserved(Observer):
    """Hears nothing."""


UNOBSERVED = _Unobserved()
