"""Sizes and cycles of the DATM engine's parts.

Every formula is exact without stalls, as those of `hardware_timing`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar


def _check_at_least(least: int, **sizes: int) -> None:
    for name, value in sizes.items():
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize:
    """Scaling and rounding of rows of float32.

    Attributes:
        bits: Of a quantized value, 4 or 8.
        max_channels: Longest row.
    """

    DIVIDE_CYCLES: ClassVar[int] = 26
    PIPELINE_CYCLES: ClassVar[int] = 2

    bits: int = 8
    max_channels: int = 4096

    def __post_init__(self) -> None:
        if self.bits not in (4, 8):
            raise ValueError(f"`bits` must be 4 or 8, got {self.bits!r}")
        _check_at_least(2, max_channels=self.max_channels)

    def cycles(self, channels: Sequence[int]) -> int:
        """Return the cycles of rows: reading, the division of the scale, writing."""
        return sum(2 * row + self.DIVIDE_CYCLES + self.PIPELINE_CYCLES for row in channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityArray:
    """Cosines between the tokens of a window.

    Attributes:
        tokens: Of a window.
        channels: Of a token.
        columns: Computed at a time; there are tokens x columns multipliers.
    """

    ROOT_CYCLES: ClassVar[int] = 17

    tokens: int = 256
    channels: int = 1920
    columns: int = 8

    def __post_init__(self) -> None:
        _check_at_least(2, tokens=self.tokens, channels=self.channels)
        if not 1 <= self.columns <= self.tokens:
            raise ValueError(f"`columns` must be in [1, {self.tokens}], got {self.columns!r}")

    @property
    def start_cycles(self) -> int:
        """Return the cycles from a window's last channel to its first group of columns."""
        return self.tokens * self.ROOT_CYCLES

    @property
    def group_cycles(self) -> int:
        """Return the cycles of a group up to its first output: pick, multiply, scale."""
        return self.columns + self.channels + self.tokens

    def groups(self, wanted: int) -> Iterator[int]:
        """Yield how many columns each group has."""
        for first in range(0, wanted, self.columns):
            yield min(self.columns, wanted - first)

    def cycles(self, wanted: Sequence[int]) -> int:
        """Return the cycles of windows that follow each other, from their wanted columns."""
        return sum(
            self.channels
            + self.start_cycles
            + sum(self.group_cycles + columns for columns in self.groups(one))
            for one in wanted
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRank:
    """The greedy order of one window's tokens.

    Attributes:
        tokens: Of the window; also the number of gain lanes.
        bits: Of one unsigned similarity.
    """

    DRAIN_CYCLES: ClassVar[int] = 3

    tokens: int = 256
    bits: int = 15

    def __post_init__(self) -> None:
        _check_at_least(2, tokens=self.tokens)
        _check_at_least(1, bits=self.bits)

    @property
    def gain_bits(self) -> int:
        """Return the width of a gain that cannot overflow."""
        return (self.tokens * (2**self.bits - 1)).bit_length()

    @property
    def choosing_cycles(self) -> int:
        """Return the cycles from a window's last column to its last token.

        Each token takes a cycle a column, three to drain the gain lanes, one to leave and one to
        cover with it; the last one covers nothing.
        """
        return self.tokens * (self.tokens + self.DRAIN_CYCLES + 2) - 1

    def cycles(self, num_windows: int) -> int:
        """Return the cycles of windows that follow each other."""
        return num_windows * (self.tokens + self.choosing_cycles)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSelect:
    """The destinations of a frame under one budget.

    Attributes:
        rank: What orders the tokens of each window.
        num_windows: Of a frame.
        num_destinations: Of a frame, at least one a window.
        digit_bits: Of a gain are looked at in one pass.
    """

    rank: WindowRank = WindowRank()
    num_windows: int = 64
    num_destinations: int = 4096
    digit_bits: int = 8

    def __post_init__(self) -> None:
        _check_at_least(1, num_windows=self.num_windows, digit_bits=self.digit_bits)
        if not self.num_windows <= self.num_destinations <= self.num_tokens:
            raise ValueError(
                f"`num_destinations` must be in [{self.num_windows}, {self.num_tokens}], got "
                f"{self.num_destinations!r}"
            )

    @property
    def num_tokens(self) -> int:
        """Return the tokens of a frame."""
        return self.num_windows * self.rank.tokens

    @property
    def num_digits(self) -> int:
        """Return the passes over the gains."""
        return -(-self.rank.gain_bits // self.digit_bits)

    @property
    def search_cycles(self) -> int:
        """Return the cycles from a frame's last gain to its first bitmap being made."""
        scans = self.num_digits * (2**self.digit_bits + 1)
        return scans + (self.num_digits - 1) * self.num_tokens

    def cycles(self, num_frames: int) -> int:
        """Return the cycles of frames that follow each other.

        Each gain is read as it comes and once more for each further digit and to mark the
        destinations; handing out a window's bitmap takes a cycle.
        """
        marking = self.num_windows * (self.rank.tokens + 1)
        return num_frames * (self.num_tokens + self.search_cycles + marking)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAssign:
    """Each token's most similar destination in its window.

    Attributes:
        tokens: Of the window.
        bits: Of one unsigned similarity.
    """

    tokens: int = 256
    bits: int = 15

    def __post_init__(self) -> None:
        _check_at_least(2, tokens=self.tokens)
        _check_at_least(1, bits=self.bits)

    def cycles(self, destinations: Sequence[int]) -> int:
        """Return the cycles of windows, from their destinations: one each, and one a token."""
        return sum(columns + self.tokens for columns in destinations)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairWriter:
    """Kept tokens and pairs of a frame, by a histogram of losses.

    Attributes:
        max_tokens: Of a frame.
        bits: Of one loss.
    """

    max_tokens: int = 32_768
    bits: int = 15

    def __post_init__(self) -> None:
        _check_at_least(2, max_tokens=self.max_tokens)
        _check_at_least(1, bits=self.bits)

    @property
    def num_bins(self) -> int:
        """Return how many bins losses fall into."""
        return 2**self.bits if self.bits < 5 else 16 * (self.bits - 3)

    def writing_cycles(self, tokens: int, reduced: int) -> int:
        """Return the cycles from a frame's last token to its last output."""
        return self.num_bins + 1 + tokens + (1 + reduced if reduced else 0)

    def cycles(self, frames: Sequence[tuple[int, int]]) -> int:
        """Return the cycles of frames, from the tokens and the reduced tokens of each."""
        return sum(tokens + self.writing_cycles(tokens, reduced) for tokens, reduced in frames)
