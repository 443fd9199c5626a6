"""ToMeSD: merge tokens that resemble each other on a block's input, afresh in every block."""

from dataclasses import dataclass

from tenuto.algorithms.reduction import Reduction, parts_of_scope
from tenuto.algorithms.schedule import Constant
from tenuto.algorithms.settings import are_lengths, check_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ToMeSD:
    """Token merging for Stable Diffusion, at this project's hook sites.

    Matches on the block's input at every block and step, averages the merged tokens into their
    destination before the module and copies its output back.

    Attributes:
        ratio: Share of the image tokens that is merged, in [0, 1); 0 is off.
        scope: What is reduced, as in `DiTo`.
        window: Tokens of a matching window along each grid axis; None is 2 where there are 2.
        merge: Average; False prunes.

    Raises:
        ValueError: A value is out of its range.

    Source: ToMeSD (arXiv 2303.17604) and the tomesd package with ``use_rand=False``, whose
    partition it reproduces. Differs in: merged tokens keep their destination's place, so position
    embeddings inside attention work, and video windows have three axes.
    """

    ratio: float = 0.5
    scope: tuple[str, ...] = ("self",)
    window: tuple[int, ...] | None = None
    merge: bool = True

    def __post_init__(self) -> None:
        check_settings(self, (
            ("ratio", "in [0, 1)", 0 <= self.ratio < 1),
            ("window", "None or integers of at least 1", are_lengths(self.window)),
        ))  # fmt: skip
        parts_of_scope(self.scope)

    @classmethod
    def paper(cls) -> "ToMeSD":
        """Return the published setting: half of the tokens, self-attention only."""
        return cls()

    @classmethod
    def neutral(cls) -> "ToMeSD":
        """Return the setting that is bit-identical to the untouched pipeline."""
        return cls(ratio=0.0)

    def reduction(self) -> Reduction:
        """Return what the engine does."""
        return Reduction(
            schedule=Constant(ratio=self.ratio),
            parts=parts_of_scope(self.scope),
            keys="kept",
            guide="input",
            window=self.window,
            merge=self.merge,
        )
