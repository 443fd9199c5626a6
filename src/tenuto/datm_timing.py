"""Sizes and cycles of the DATM engine's parts, and of the engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


def _check_at_least(least: int, **sizes: int) -> None:
    for name, value in sizes.items():
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowMatch:
    """Destinations and assignment of one matching window.

    Attributes:
        tokens: Of the window; also the number of gain lanes.
        destinations: Budget of the window.
        bits: Of one unsigned similarity.
    """

    DRAIN_CYCLES: ClassVar[int] = 3

    tokens: int = 256
    destinations: int = 64
    bits: int = 15

    def __post_init__(self) -> None:
        _check_at_least(2, tokens=self.tokens)
        _check_at_least(1, bits=self.bits, destinations=self.destinations)
        if self.destinations > self.tokens:
            raise ValueError(
                f"`destinations` must be at most {self.tokens}, got {self.destinations!r}"
            )

    @property
    def gain_bits(self) -> int:
        """Return the width of a gain that cannot overflow."""
        return (self.tokens * (2**self.bits - 1)).bit_length()

    def cycles(self, num_windows: int) -> int:
        """Return the cycles of windows that follow each other.

        Loading and writing out take a cycle a token; each destination takes one a token, three to
        drain the gain lanes, one to read its column and one to cover with it.
        """
        choosing = self.destinations * (self.tokens + self.DRAIN_CYCLES + 2)
        return num_windows * (2 * self.tokens + choosing)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossThreshold:
    """The tokens of least loss, by a histogram.

    Attributes:
        max_tokens: Of a frame.
    """

    NUM_BINS: ClassVar[int] = 192

    max_tokens: int = 32_768

    def __post_init__(self) -> None:
        _check_at_least(1, max_tokens=self.max_tokens)

    def cycles(self, num_tokens: Sequence[int]) -> int:
        """Return the cycles of frames, from their tokens: each twice, and every bin."""
        return sum(2 * tokens + self.NUM_BINS + 1 for tokens in num_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityArray:
    """Cosines between all tokens of a window.

    Attributes:
        tokens: Of a window; also the number of multipliers.
        channels: Of a token.
    """

    ROOT_CYCLES: ClassVar[int] = 17

    tokens: int = 256
    channels: int = 1920

    def __post_init__(self) -> None:
        _check_at_least(2, tokens=self.tokens, channels=self.channels)

    @property
    def column_cycles(self) -> int:
        """Return the cycles of one column: clear, multiply, scale, write out."""
        return 1 + self.channels + self.tokens + 1

    def cycles(self, num_windows: int) -> int:
        """Return the cycles of windows: loading, roots, and a column a token."""
        roots = self.tokens * self.ROOT_CYCLES
        return num_windows * (self.channels + roots + self.tokens * self.column_cycles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Datm:
    """The DATM engine with a budget for each window.

    Attributes:
        array: The similarity array; its tokens are those of a window.
        num_windows: Of a frame.
        destinations: Of a window.
        num_reduced: Of a frame; at most the tokens that are no destinations.
    """

    array: SimilarityArray = SimilarityArray()
    num_windows: int = 64
    destinations: int = 64
    num_reduced: int = 8_192

    def __post_init__(self) -> None:
        _check_at_least(1, num_windows=self.num_windows)
        most = self.num_windows * (self.array.tokens - self.destinations)
        if not 0 <= self.num_reduced <= most:
            raise ValueError(f"`num_reduced` must be in [0, {most}], got {self.num_reduced!r}")

    @property
    def num_tokens(self) -> int:
        """Return the tokens of a frame."""
        return self.num_windows * self.array.tokens

    @property
    def match(self) -> WindowMatch:
        """Return the size of the destinations' choice."""
        return WindowMatch(tokens=self.array.tokens, destinations=self.destinations)

    @property
    def threshold(self) -> LossThreshold:
        """Return the size of the threshold."""
        return LossThreshold(max_tokens=self.num_tokens)

    def cycles(self, num_frames: int) -> int:
        """Return the cycles of frames that follow each other.

        While a window's destinations are chosen the next one is loaded and multiplied; its first
        column waits for the choice, the choice's result for the threshold of the frame before.
        """
        array, tokens = self.array, self.array.tokens
        to_first = array.channels + tokens * array.ROOT_CYCLES + array.column_cycles - 1
        choosing = self.match.cycles(1) - 2 * tokens
        array_free = match_free = threshold_free = 0
        for _ in range(num_frames):
            for _ in range(self.num_windows):
                first = max(array_free + to_first, match_free)
                array_free = first + (tokens - 1) * array.column_cycles + 1
                match_free = max(array_free + choosing, threshold_free) + tokens
            threshold_free = match_free + LossThreshold.NUM_BINS + 1 + self.num_tokens
        return threshold_free
