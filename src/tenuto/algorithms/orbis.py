"""ORBIS: output-guided token reduction for video, tokens matched by their distribution."""

from dataclasses import dataclass
from typing import Literal

from tenuto.algorithms.datm import Datm
from tenuto.algorithms.forecast import Predictor
from tenuto.algorithms.reduction import Reduction, parts_of_scope
from tenuto.algorithms.schedule import EveryNth
from tenuto.algorithms.settings import check_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ORBIS:
    """Token reduction between refresh steps, pairs by DATM on what the blocks put out before.

    At *refresh* steps everything is computed; between them ``1 - ratio`` of the tokens is, and the
    rest follows from forecast and partner (`tenuto.algorithms.restore`). ``ratio=1`` computes
    nothing between refreshes.

    Attributes:
        ratio: Share of the image tokens not computed between refreshes, in [0, 1]; 0 is off.
        loss_threshold: Instead of a fixed share: reduce the tokens whose ``1 - cosine`` with their
            partner is at most this, [0, 1], in each block and step, in sixteenths of the tokens;
            `ratio`, below 1, is then the most that is reduced.
        refresh: Steps from one refresh to the next, >= 1; 1 is off.
        bits: 8 or 4 bits of the tokens in the matching, or None for what they are.
        window: Matching window: consecutive tokens, or tokens along each grid axis; None is
            (4, 8, 8) on video grids and (16, 16) on image grids, or the grid where that is smaller.
        destinations: Share of the tokens that others may be reduced to, (0, 1].
        keys: Keys and values that kept tokens see: "kept" reduces the input of the query, key and
            value projections (mode "input"), "all" reduces queries alone (mode "Q"), "held" is
            "all" with reduced tokens' keys and values from the refresh.
        predict: Forecast of a token from its own outputs at refreshes; "none" keeps pairs alone.
        correct: Add the partner's innovation to the forecast.
        gain: How much of it, in [0, 1].
        scope: What is reduced: "attn" (self- and cross-attention), "self", "cross", "ffn".
        guide: Outputs to match on: "attn", "ffn", or "block"; "input" is the block's present input,
            as earlier methods match.
        rematch: Match after every step, not only after refreshes: for `guide` "block" alone, whose
            tokens keep their own residual. Restored outputs of a module equal their partner's, so
            pairs made of them could never dissolve.
        matching: "datm"; or "strided", one destination a box of 2 along each axis, as ToMeSD has.
        warmup: First steps that are dense, >= 1.
        predict_at: Where steps with ratio 1 are forecast, see `Reduction`.
        history_bits: None or 8, see `Reduction`.

    Raises:
        ValueError: A value is out of its range, or the values contradict each other.

    Source: ORBIS (arXiv 2605.22015): guidance by the previous step's output, DATM, quantization;
    all inner steps are our reconstruction. Forecast and correction are not part of it
    (`tenuto.algorithms.restore` gives credit). `paper` is the reconstruction alone.
    """

    ratio: float = 0.5
    loss_threshold: float | None = None
    refresh: int = 3
    bits: Literal[4, 8] | None = 8
    window: int | tuple[int, ...] | None = None
    destinations: float = 0.25
    keys: Literal["kept", "held", "all"] = "all"
    predict: Predictor = "linear"
    correct: bool = True
    gain: float = 1.0
    scope: tuple[str, ...] = ("attn", "ffn")
    guide: Literal["attn", "ffn", "block", "input"] = "attn"
    rematch: bool = False
    matching: Literal["datm", "strided"] = "datm"
    warmup: int = 3
    predict_at: Literal["blocks", "modules"] = "blocks"
    history_bits: Literal[8] | None = None

    def __post_init__(self) -> None:
        is_copy = self.predict == "none"
        window = (self.window,) if isinstance(self.window, int) else self.window
        check_settings(self, (
            ("ratio", "in [0, 1]", 0 <= self.ratio <= 1),
            ("loss_threshold", "None or in [0, 1]",
             self.loss_threshold is None or 0 <= self.loss_threshold <= 1),
            ("ratio", "below 1 where `predict` is 'none' or a `loss_threshold` is given",
             self.ratio < 1 or not (is_copy or self.loss_threshold is not None)),
            ("refresh", "an integer of at least 1", _all_count(self.refresh)),
            ("warmup", "an integer of at least 1", _all_count(self.warmup)),
            ("bits", "4, 8 or None", self.bits in (4, 8, None)),
            ("window", "None or integers of at least 1", window is None or _all_count(*window)),
            ("destinations", "in (0, 1]", 0 < self.destinations <= 1),
            ("keys", "'kept', 'held' or 'all'", self.keys in ("kept", "held", "all")),
            ("predict", "'none', 'hold', 'linear' or 'quadratic'",
             self.predict in ("none", "hold", "linear", "quadratic")),
            ("gain", "in [0, 1]", 0 <= self.gain <= 1),
            ("guide", "'attn', 'ffn', 'block' or 'input'",
             self.guide in ("attn", "ffn", "block", "input")),
            ("rematch", "False unless `guide` is 'block'",
             not self.rematch or self.guide == "block"),
            ("matching", "'datm' or 'strided'", self.matching in ("datm", "strided")),
            ("loss_threshold", "None where `matching` is 'strided'",
             self.loss_threshold is None or self.matching == "datm"),
            ("predict_at", "'blocks' or 'modules'", self.predict_at in ("blocks", "modules")),
            ("history_bits", "None or 8", self.history_bits in (None, 8)),
            ("correct", "True where `predict` is 'none': a copy is all correction",
             self.correct or not is_copy),
            ("gain", "1 where `predict` is 'none': a copy is all correction",
             self.gain == 1 or not is_copy),
        ))  # fmt: skip
        parts_of_scope(self.scope)

    @classmethod
    def paper(cls) -> "ORBIS":
        """Return the reconstruction: copies, fewer inputs of the self-attention, fresh pairs.

        Source: ORBIS (arXiv 2605.22015); ratio, refresh, window and mode are not public.
        """
        return cls(
            ratio=0.5, refresh=5, keys="kept", predict="none", scope=("self",), guide="block",
            rematch=True, warmup=1,
        )  # fmt: skip

    @classmethod
    def neutral(cls) -> "ORBIS":
        """Return the setting that is bit-identical to the untouched pipeline."""
        return cls(ratio=0.0)

    def reduction(self) -> Reduction:
        """Return what the engine does."""
        is_datm = self.matching == "datm"
        datm = Datm(
            bits=self.bits,
            window=self.window,
            destinations=self.destinations,
            loss_threshold=self.loss_threshold,
        )
        lattice = (self.window,) if isinstance(self.window, int) else self.window
        return Reduction(
            schedule=EveryNth(ratio=self.ratio, interval=self.refresh, warmup=self.warmup),
            parts=parts_of_scope(self.scope),
            keys=self.keys,
            predict=self.predict,
            predict_at=self.predict_at,
            gain=self.gain if self.correct else 0.0,
            guide=self.guide,
            rematch=self.rematch,
            window=None if is_datm else lattice,
            matcher=datm if is_datm else None,
            history_bits=self.history_bits,
        )


def _all_count(*numbers: object) -> bool:
    """Say whether there are numbers and all of them are integers of at least 1."""
    return bool(numbers) and all(isinstance(n, int) and n >= 1 for n in numbers)
