"""ToFu: prune similar tokens in the early blocks, merge them with their norm in the late ones."""

from dataclasses import dataclass

from tenuto.algorithms.reduction import Reduction, parts_of_scope
from tenuto.algorithms.schedule import Constant
from tenuto.algorithms.settings import are_lengths, check_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ToFu:
    """Token Fusion, at this project's hook sites.

    Pairs tokens as `ToMeSD` does. The first blocks, whose answer to averaged inputs is far from
    the average of their answers, drop the reduced tokens; the others merge them into their
    destination, whose new row gets the largest norm of what went into it (MLERP). Outputs are
    copied back in both.

    Attributes:
        ratio: Share of the image tokens that is reduced, in [0, 1); 0 is off.
        scope: What is reduced, as in `DiTo`.
        window: Tokens of a matching window along each grid axis; None is 2 where there are 2.
        prune_depth: Share of the blocks, counted from the first, that prune, in [0, 1].

    Raises:
        ValueError: A value is out of its range.

    Source: ToFu (arXiv 2312.01026): prune where a layer is not linear in its input, merge where it
    is, keep the norm. The form of MLERP (the mean, stretched to the group's largest norm) and the
    border at half of the blocks are our reconstruction; the paper finds the border by measurement.
    """

    ratio: float = 0.5
    scope: tuple[str, ...] = ("self",)
    window: tuple[int, ...] | None = None
    prune_depth: float = 0.5

    def __post_init__(self) -> None:
        check_settings(self, (
            ("ratio", "in [0, 1)", 0 <= self.ratio < 1),
            ("window", "None or integers of at least 1", are_lengths(self.window)),
            ("prune_depth", "in [0, 1]", 0 <= self.prune_depth <= 1),
        ))  # fmt: skip
        parts_of_scope(self.scope)

    @classmethod
    def paper(cls) -> "ToFu":
        """Return the setting that ToFu is compared at elsewhere: ToMeSD's, half of the tokens."""
        return cls()

    @classmethod
    def neutral(cls) -> "ToFu":
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
            merge=True,
            merge_from=self.prune_depth,
            keeps_norm=True,
        )
