"""Payloads as words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.rtl.packing import integers_from, pack, unpack, words_from

fields = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 32), st.booleans()), min_size=1, max_size=5
)


@given(fields, st.integers(0, 2**32 - 1))
def test_what_is_packed_is_unpacked(fields: list[tuple[int, int, bool]], seed: int) -> None:
    random = np.random.default_rng(seed)
    values = [
        random.integers(-(1 << (bits - 1)) if signed else 0, 1 << (bits - signed), (4, elements))
        for elements, bits, signed in fields
    ]
    words = pack([(v, bits) for v, (_, bits, _) in zip(values, fields, strict=True)])

    for found, value in zip(unpack(words, fields), values, strict=True):
        np.testing.assert_array_equal(found, value)


@given(st.lists(st.integers(0, 2**70 - 1), min_size=1, max_size=4))
def test_payloads_are_the_same_as_integers_and_as_words(integers: list[int]) -> None:
    assert integers_from(words_from(integers, 70)) == integers


def test_the_first_field_is_lowest() -> None:
    assert pack([(np.array([1]), 4), (np.array([2]), 4)]).tolist() == [[0x21]]


def test_negative_values_become_twos_complement() -> None:
    assert pack([(np.array([-1]), 4), (np.array([0]), 4)]).tolist() == [[0xF]]


def test_a_bitmap_spans_words() -> None:
    assert pack([(np.eye(1, 40, 39, dtype=bool), 1)]).tolist() == [[0, 128]]


@pytest.mark.parametrize("bits", [1, 31, 32])
def test_a_field_may_cross_a_word(bits: int) -> None:
    words = pack([(np.array([0]), 20), (np.array([(1 << bits) - 1]), bits)])

    assert integers_from(words) == [((1 << bits) - 1) << 20]
