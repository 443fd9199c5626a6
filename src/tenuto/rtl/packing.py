"""Payloads as rows of 32-bit words: the form in which test vectors go to every simulator."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]


def pack(fields: Sequence[tuple[NDArray, int]]) -> Words:
    """Lay fields side by side, the first one lowest, as Amaranth's layouts do.

    Args:
        fields: Integers or booleans, each (transfers,) or (transfers, elements), with the bits of
            one element, 1 to 32. Negative values become two's complement.

    Returns:
        (transfers, words).

    >>> pack([(np.array([[1, -1]]), 4), (np.array([5]), 32)]).tolist()
    [[1521, 0]]
    """
    columns = [(np.asarray(v).reshape(len(v), -1), bits) for v, bits in fields]
    total_bits = sum(v.shape[1] * bits for v, bits in columns)
    words = np.zeros((len(columns[0][0]), -(-total_bits // 32)), dtype=np.uint32)
    position = 0
    for values, bits in columns:
        for column in values.T:
            _or_into(words, column.astype(np.int64) & ((1 << bits) - 1), position, bits)
            position += bits
    return words


def _or_into(words: Words, column: NDArray[np.int64], position: int, bits: int) -> None:
    index, shift = divmod(position, 32)
    shifted = column.astype(np.uint64) << np.uint64(shift)
    words[:, index] |= (shifted & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    if shift + bits > 32:
        words[:, index + 1] |= (shifted >> np.uint64(32)).astype(np.uint32)


def unpack(words: Words, fields: Sequence[tuple[int, int, bool]]) -> list[NDArray[np.int64]]:
    """Undo `pack`.

    Args:
        words: (transfers, words).
        fields: Elements, bits of one (1 to 32) and whether it is signed, the lowest field first.

    Returns:
        One array (transfers, elements) a field.

    >>> [f.tolist() for f in unpack(np.array([[0xF1]], np.uint32), [(2, 4, True)])]
    [[[1, -1]]]
    """
    wide = np.pad(words, ((0, 0), (0, 1))).astype(np.uint64)
    unpacked = []
    position = 0
    for elements, bits, is_signed in fields:
        columns = np.empty((len(words), elements), dtype=np.int64)
        for element in range(elements):
            index, shift = divmod(position, 32)
            both = wide[:, index] | (wide[:, index + 1] << np.uint64(32))
            column = ((both >> np.uint64(shift)) & np.uint64((1 << bits) - 1)).astype(np.int64)
            columns[:, element] = column - ((column >> (bits - 1)) << bits) * is_signed
            position += bits
        unpacked.append(columns)
    return unpacked


def integers_from(words: Words) -> list[int]:
    """Return each row as one Python integer."""
    rows = np.ascontiguousarray(words, dtype="<u4")
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def words_from(integers: Sequence[int], num_bits: int) -> Words:
    """Undo `integers_from` for payloads of `num_bits`."""
    num_words = -(-num_bits // 32)
    text = b"".join(value.to_bytes(4 * num_words, "little") for value in integers)
    return np.frombuffer(text, dtype="<u4").reshape(len(integers), num_words)
