"""Everything the engine needs to know of a technique; each technique is a way to fill this in."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from tenuto.algorithms.forecast import Predictor
from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.schedule import Schedule

Keys = Literal["kept", "held", "all"]
"""Whose keys and values a reduced attention sees: the kept tokens' only; all tokens', with those of
reduced tokens held from the last dense step; all tokens', computed."""

Guide = Literal["input", "module", "attn", "ffn", "block"]
"""What similarity is measured on: the block's current input, or an earlier dense output of the same
module, of the block's attention, of its feed-forward, or of the whole block."""

Part = Literal["self", "cross", "ffn"]
"""A part of a block that can be reduced."""


@runtime_checkable
class Matcher(Protocol):
    """A rule that pairs tokens, for techniques that do not use `match_tokens`."""

    def check(self, grid: tuple[int, ...], ratio: float) -> None:
        """Raise ValueError where tokens of this grid cannot be matched at this ratio."""
        ...

    def match(self, features: Tensor, grid: tuple[int, ...], ratio: float, draw: int) -> MatchPlan:
        """Return the plan for (batch, tokens, channels) features.

        Args:
            features: What similarity is measured on.
            grid: Tokens along each axis.
            ratio: Share of the tokens to reduce; a rule may reduce fewer.
            draw: Number of this matching in the run; rules with chance draw anew for each.
        """
        ...

    def macs(self, grid: tuple[int, ...], ratio: float, channels: int) -> int:
        """Return the multiply-accumulates of matching one sample."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """Reduce queries apart from keys and values, inside the attention product.

    Attributes:
        queries: Share of the query rows not attended for, by step and block.
        keys: Share of the key and value rows not attended to, by step and block.
        per_head: Every head has pairs of its own.
    """

    queries: Schedule
    keys: Schedule
    per_head: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """One setting of the engine: predict, compute a few, correct the rest.

    Attributes:
        schedule: Share of the tokens not computed, by step and block.
        parts: Which parts of a block are reduced.
        keys: Whose keys and values a reduced self-attention sees.
        predict: Forecast of tokens that are not computed.
        predict_at: Where fully predicted steps are forecast: once for each run of consecutive
            blocks, which then cost next to nothing, or in each module.
        gain: How much of the partner's innovation corrects a forecast, 0..1.
        guide: What tokens are matched on.
        rematch: Match on block outputs of reduced steps too, not of dense ones alone.
        drift: Match on the change of the guide since the dense step before, not on the guide.
        window: Tokens of a matching window along each grid axis; None is 2 where there are 2.
        densest: A window's destination is its densest token, not its first.
        frequency_penalty: In cosine units, see `FrequencyPenalty`.
        partners: Kept tokens that stand for a reduced one together; their rows are averaged.
        matcher: Pairs tokens instead of `window`, `densest`, `frequency_penalty` and `partners`.
        reuse_steps: Pairs made on inputs live until the next step that is a multiple of this.
        shared_pairs: Pairs made on inputs serve all blocks of a kind, not one.
        merge: Average reduced tokens into their destination's input instead of dropping them.
        merge_from: Share of the blocks, counted from the first, that drop them even so.
        keeps_norm: Merged rows keep the largest norm of what went into them.
        funnel: Where not None, only attention products are reduced, as it says.
        history_bits: None keeps history in the compute dtype, 8 as int8 with a scale a row.
        fitted_weights: (steps, outputs, channels) forecast weights for ``predict="fitted"``.
    """

    schedule: Schedule
    parts: frozenset[Part]
    keys: Keys
    predict: Predictor = "none"
    predict_at: Literal["blocks", "modules"] = "blocks"
    gain: float = 1.0
    guide: Guide = "module"
    rematch: bool = False
    drift: bool = False
    window: tuple[int, ...] | None = None
    densest: bool = False
    frequency_penalty: float = 0.0
    partners: int = 1
    matcher: Matcher | None = None
    reuse_steps: int = 1
    shared_pairs: bool = False
    merge: bool = False
    merge_from: float = 0.0
    keeps_norm: bool = False
    funnel: Funnel | None = None
    history_bits: Literal[8] | None = None
    fitted_weights: Tensor | None = None

    @property
    def predict_alone(self) -> Predictor:
        """Forecast of a single module: fitted weights are of what all blocks add together."""
        return "linear" if self.predict == "fitted" else self.predict


def parts_of_scope(scope: tuple[str, ...]) -> frozenset[Part]:
    """Return the parts that a scope names: ``attn`` is self- and cross-attention.

    Raises:
        ValueError: The scope is empty or names something else.

    >>> sorted(parts_of_scope(("attn", "ffn")))
    ['cross', 'ffn', 'self']
    """
    parts: dict[str, tuple[Part, ...]] = {
        "attn": ("self", "cross"),
        "self": ("self",),
        "cross": ("cross",),
        "ffn": ("ffn",),
    }
    unknown = [name for name in scope if name not in parts]
    if unknown or not scope:
        raise ValueError(f"`scope` must name some of {sorted(parts)}, got {scope!r}")
    return frozenset(part for name in scope for part in parts[name])
