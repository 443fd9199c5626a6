"""DiTo: match tokens on outputs of an earlier step, reuse the pairs over the steps that follow."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from tenuto.algorithms.forecast import Predictor
from tenuto.algorithms.reduction import Keys, Reduction, parts_of_scope
from tenuto.algorithms.schedule import EveryNth, Table
from tenuto.algorithms.settings import check_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class DiTo:
    """Output-guided token reduction with forecast and correction.

    At *Matching* steps everything is computed and tokens are paired on what the modules put out; at
    *Reduction* steps ``1 - ratio`` of the tokens is computed and the rest follows from forecast and
    partner (`tenuto.algorithms.restore`). ``ratio=1`` computes nothing at Reduction steps: each
    block's output is forecast.

    Attributes:
        ratio: Share of the image tokens not computed at Reduction steps, in [0, 1]; 0 is off.
        interval: Steps from one Matching step to the next, >= 1; 1 is off.
        schedule: Instead of `interval`: the name or path of a calibration (`tenuto calibrate`), or
            a ratio for each step, or a tuple of one ratio a block for each step.
        keys: Keys and values that kept tokens see: of all tokens, of all with reduced ones held
            from the Matching step, or of kept tokens only.
        predict: Forecast of a token from its own Matching-step outputs.
        correct: Add the partner's innovation to the forecast.
        gain: How much of it, in [0, 1].
        scope: What is reduced: "attn" (self- and cross-attention), "self", "cross", "ffn".
        guide: Outputs to match on: of the same module, the attention, the FFN, or the block.
        drift: Match on the guide's change between the last two Matching steps.
        frequency_penalty: Cosine units; tokens reduced often are reduced less.
        densest: Destinations are each window's densest token, else its first.
        window: Tokens of a matching window along each grid axis; None is 2 where there are 2.
        partners: Kept tokens that stand for a token together, >= 1: the most similar ones.
        warmup: First steps that are dense, >= 1.
        predict_at: Where steps with ratio 1 are forecast, see `Reduction`.
        history_bits: None or 8, see `Reduction`.

    Raises:
        ValueError: A value is out of its range, or the values contradict each other.

    Source: DiTo (arXiv 2605.22011): Matching and Reduction timesteps, output similarity, frequency
    penalty, schedules; its inner steps are our reconstruction. Forecast and correction are not part
    of it (`tenuto.algorithms.restore` gives credit). `paper` is the reconstruction alone.
    """

    ratio: float = 1.0
    interval: int = 2
    schedule: str | tuple[float | tuple[float, ...], ...] | None = None
    keys: Keys = "all"
    predict: Predictor = "linear"
    correct: bool = True
    gain: float = 1.0
    scope: tuple[str, ...] = ("attn", "ffn")
    guide: Literal["module", "attn", "ffn", "block"] = "attn"
    drift: bool = False
    frequency_penalty: float = 0.0
    densest: bool = False
    window: tuple[int, ...] | None = None
    partners: int = 1
    warmup: int = 3
    predict_at: Literal["blocks", "modules"] = "blocks"
    history_bits: Literal[8] | None = None

    def __post_init__(self) -> None:
        check_settings(self, (
            ("ratio", "in [0, 1]", 0 <= self.ratio <= 1),
            ("interval", "an integer of at least 1", _all_count(self.interval)),
            ("warmup", "an integer of at least 1", _all_count(self.warmup)),
            ("partners", "an integer of at least 1", _all_count(self.partners)),
            ("schedule", "None, a calibration's name or path, or a tuple of ratios",
             self.schedule is None or isinstance(self.schedule, str | tuple)),
            ("gain", "in [0, 1]", 0 <= self.gain <= 1),
            ("frequency_penalty", "at least 0", self.frequency_penalty >= 0),
            ("history_bits", "None or 8", self.history_bits in (None, 8)),
            ("keys", "'kept', 'held' or 'all'", self.keys in ("kept", "held", "all")),
            ("guide", "'module', 'attn', 'ffn' or 'block'",
             self.guide in ("module", "attn", "ffn", "block")),
            ("predict", "'none', 'hold', 'linear', 'quadratic' or 'fitted'",
             self.predict in ("none", "hold", "linear", "quadratic", "fitted")),
            ("predict_at", "'blocks' or 'modules'", self.predict_at in ("blocks", "modules")),
            ("window", "None or integers of at least 1",
             self.window is None or _all_count(*self.window)),
            ("correct", "True where `predict` is 'none': a copy is all correction",
             self.correct or self.predict != "none"),
            ("gain", "1 where `predict` is 'none': a copy is all correction",
             self.gain == 1 or self.predict != "none"),
        ))  # fmt: skip
        parts_of_scope(self.scope)
        schedule = self.schedule
        reduced = Table(schedule).ratios() if isinstance(schedule, tuple) else (self.ratio,)
        if self.predict == "none" and 1.0 in reduced:
            raise ValueError(
                "`predict` must forecast where the ratio is 1, or nothing would be computed, got "
                "'none'"
            )
        if self.predict == "fitted" and not isinstance(self.schedule, str):
            raise ValueError(
                "`predict`='fitted' must come with a calibration in `schedule`, got "
                f"{self.schedule!r}"
            )

    @classmethod
    def paper(cls) -> "DiTo":
        """Return the reconstruction of the paper: copies, kept keys, self-attention only.

        Source: DiTo (arXiv 2605.22011); ratio, interval and penalty are not public (methods 1.4).
        """
        return cls(
            ratio=0.5, interval=3, keys="kept", predict="none", scope=("self",), guide="module",
            frequency_penalty=0.1, densest=True, warmup=2,
        )  # fmt: skip

    @classmethod
    def neutral(cls) -> "DiTo":
        """Return the setting that is bit-identical to the untouched pipeline."""
        return cls(ratio=0.0)

    def reduction(
        self, table: Table | None = None, fitted_weights: Tensor | None = None
    ) -> Reduction:
        """Return what the engine does; a calibration's table and weights where one is named."""
        schedule = self.schedule
        table = Table(schedule) if isinstance(schedule, tuple) else table
        every = EveryNth(ratio=self.ratio, interval=self.interval, warmup=self.warmup)
        return Reduction(
            schedule=every if table is None else table,
            parts=parts_of_scope(self.scope),
            keys=self.keys,
            predict=self.predict,
            predict_at=self.predict_at,
            gain=self.gain if self.correct else 0.0,
            guide=self.guide,
            drift=self.drift,
            window=self.window,
            densest=self.densest,
            partners=self.partners,
            frequency_penalty=self.frequency_penalty,
            history_bits=self.history_bits,
            fitted_weights=fitted_weights,
        )


def _all_count(*numbers: object) -> bool:
    """Say whether there are numbers and all of them are integers of at least 1."""
    return bool(numbers) and all(isinstance(n, int) and n >= 1 for n in numbers)
