"""Size and cycles of the DATM engine as a whole."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tenuto.datm_timing import BudgetSelect, PairWriter, SimilarityArray, WindowAssign, WindowRank


@dataclass(frozen=True, slots=True, kw_only=True)
class Datm:
    """The DATM engine.

    Attributes:
        array: The similarity array; its tokens are those of a window.
        num_windows: Of a frame.
        num_destinations: Of a frame, at least one a window.
        num_reduced: Of a frame; at most the tokens that are no destinations.
        digit_bits: As in `BudgetSelect`.
    """

    array: SimilarityArray = field(default_factory=SimilarityArray)
    num_windows: int = 64
    num_destinations: int = 4096
    num_reduced: int = 8_192
    digit_bits: int = 8

    def __post_init__(self) -> None:
        most = self.num_tokens - self.select.num_destinations
        if not 0 <= self.num_reduced <= most:
            raise ValueError(f"`num_reduced` must be in [0, {most}], got {self.num_reduced!r}")

    @property
    def num_tokens(self) -> int:
        """Return the tokens of a frame."""
        return self.num_windows * self.array.tokens

    @property
    def select(self) -> BudgetSelect:
        """Return the size of the arbitration between windows, and of the order within one."""
        return BudgetSelect(
            rank=WindowRank(tokens=self.array.tokens),
            num_windows=self.num_windows,
            num_destinations=self.num_destinations,
            digit_bits=self.digit_bits,
        )

    @property
    def assign(self) -> WindowAssign:
        """Return the size of the assignment."""
        return WindowAssign(tokens=self.array.tokens)

    @property
    def writer(self) -> PairWriter:
        """Return the size of the threshold and of the lists."""
        return PairWriter(max_tokens=self.num_tokens)

    def cycles(self, frames: Iterable[Sequence[int]]) -> int:
        """Return the cycles of frames that follow each other, from each window's destinations.

        Exact without stalls. In the first pass a window is multiplied while the one before is
        ordered; the first window of the second pass waits for the budget's arbitration.
        """
        array, tokens = self.array, self.array.tokens
        array_free = rank_free = assign_free = writer_free = 0
        for destinations in frames:
            for _ in range(self.num_windows):
                loaded = array_free + array.channels
                array_free = self._multiplied(loaded, tokens, rank_free)
                rank_free = array_free + self.select.rank.choosing_cycles
            marked = rank_free + self.select.search_cycles
            for wanted in destinations:
                loaded = max(array_free + array.channels, marked + tokens + 1)
                marked = loaded
                array_free = self._multiplied(loaded, wanted, assign_free)
                assign_free = max(array_free, writer_free) + tokens
            writer_free = assign_free + self.writer.writing_cycles(
                self.num_tokens, self.num_reduced
            )
        return writer_free

    def _multiplied(self, loaded: int, wanted: int, sink_free: int) -> int:
        """Return when a window's last column has left."""
        now = loaded + self.array.start_cycles
        for columns in self.array.groups(wanted):
            now = max(now + self.array.group_cycles, sink_free) + columns
        return now
