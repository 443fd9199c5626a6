"""Sizes of the RTL units and the cycles they take: one record for the RTL and the cycle models.

Every formula here is exact without stalls; the ladder (`tenuto rtl verify`) compares it with the
signals, cycle for cycle. Cycle 0 is the first one in which an input is offered; a count includes
the cycle in which the last output is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass


def _check_at_least(least: int, **sizes: int) -> None:
    for name, value in sizes.items():
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}, got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDot:
    """Log-domain dot product: sums of two-step leading-one products.

    Attributes:
        lanes: Products a cycle.
        bits: Of one signed operand.
        max_length: Longest dot product; fixes the accumulator's width.
    """

    lanes: int = 24
    bits: int = 12
    max_length: int = 1152

    def __post_init__(self) -> None:
        _check_at_least(1, lanes=self.lanes, max_length=self.max_length)
        _check_at_least(2, bits=self.bits)

    @property
    def latency_cycles(self) -> int:
        """Return the cycles from the last beat of a dot product to its result."""
        return 4

    @property
    def result_bits(self) -> int:
        """Return the width of a signed sum that cannot overflow."""
        largest = self.max_length * 4 ** (self.bits - 1)
        return largest.bit_length() + 1

    def beats(self, length: int) -> int:
        """Return the transfers of one dot product; a last one is filled up with zeros."""
        return -(-length // self.lanes)

    def cycles(self, num_dots: int, length: int) -> int:
        """Return the cycles of `num_dots` dot products of `length` terms each."""
        return num_dots * self.beats(length) + self.latency_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSelect:
    """Top-k, one-hot decision and needed keys of rows of scores.

    Attributes:
        max_keys: Longest row.
        num_kept: Scores kept of a row.
        bits: Of one signed score.
    """

    max_keys: int = 256
    num_kept: int = 32
    bits: int = 34

    def __post_init__(self) -> None:
        _check_at_least(2, max_keys=self.max_keys, bits=self.bits)
        _check_at_least(1, num_kept=self.num_kept)

    @property
    def latency_cycles(self) -> int:
        """Return the cycles from a row's last score to its decision."""
        return 2

    def cycles(self, num_rows: int, num_keys: int) -> int:
        """Return the cycles of rows of `num_keys` scores each."""
        return num_rows * num_keys + self.latency_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class EagerRow:
    """The eager predictor's row unit: a log-domain dot product, and a selection behind it."""

    dot: LogDot = LogDot(max_length=128)
    max_keys: int = 256
    num_kept: int = 32

    @property
    def select(self) -> RowSelect:
        """Return the size of the selection: scores are as wide as the dot product's results."""
        return RowSelect(max_keys=self.max_keys, num_kept=self.num_kept, bits=self.dot.result_bits)

    @property
    def latency_cycles(self) -> int:
        """Return the cycles from a row's last beat to its decision."""
        return self.dot.latency_cycles + self.select.latency_cycles

    def cycles(self, num_rows: int, num_keys: int, head_dim: int) -> int:
        """Return the cycles of rows of `num_keys` keys with `head_dim` channels."""
        return num_rows * num_keys * self.dot.beats(head_dim) + self.latency_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """Addresses of kept tokens from their bitmap.

    Attributes:
        word_bits: Tokens of one transfer.
        max_tokens: Longest bitmap.
        row_beats: Addresses of one token's row.
    """

    word_bits: int = 32
    max_tokens: int = 32_768
    row_beats: int = 16

    def __post_init__(self) -> None:
        _check_at_least(1, word_bits=self.word_bits, row_beats=self.row_beats)
        _check_at_least(self.word_bits, max_tokens=self.max_tokens)

    def cycles(self, ones_in_words: Sequence[int]) -> int:
        """Return the cycles up to the last address, from the kept tokens of each word.

        The words after the last one with a kept token make no address and do not count.
        """
        counts = list(ones_in_words)
        while counts and counts[-1] == 0:
            counts.pop()
        return 1 + sum(max(1, count * self.row_beats) for count in counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Predict-and-correct, or copy, on the way to memory.

    Attributes:
        lanes: Channels of one transfer.
        bits: Of one signed channel.
        num_places: Computed rows that are held at a time.
        row_beats: Transfers of one row.
    """

    lanes: int = 16
    bits: int = 16
    num_places: int = 128
    row_beats: int = 120

    def __post_init__(self) -> None:
        _check_at_least(1, lanes=self.lanes, num_places=self.num_places, row_beats=self.row_beats)
        _check_at_least(2, bits=self.bits)

    @property
    def latency_cycles(self) -> int:
        """Return the cycles from a token's beat to its output."""
        return 2

    def cycles(self, num_computed: int, num_tokens: int) -> int:
        """Return the cycles of a window of `num_tokens` tokens, `num_computed` of them computed."""
        return (num_computed + num_tokens) * self.row_beats + self.latency_cycles
