import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.golden.quantize import SMALLEST_PEAK, quantize_rows


@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=9),
    st.sampled_from([4, 8]),
)
def test_values_are_off_by_half_a_level_at_most(values, bits):
    row = np.array([values], np.float32)
    levels = 2 ** (bits - 1) - 1
    peak = float(np.abs(row).max())
    if peak < SMALLEST_PEAK:
        assert not quantize_rows(row, bits).any()
        return

    restored = quantize_rows(row, bits).astype(np.float64) * peak / levels

    assert np.abs(restored - row).max() <= 0.5001 * peak / levels
    assert np.abs(quantize_rows(row, bits)).max() == levels


@pytest.mark.parametrize(("bits", "levels"), [(4, 7), (8, 127)])
def test_a_power_of_two_as_scale_changes_nothing(bits, levels):
    rows = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)

    assert np.array_equal(quantize_rows(rows, bits), quantize_rows(rows * 2.0**40, bits))
    assert np.abs(quantize_rows(rows, bits)).max() == levels


def test_halves_round_to_even():
    row = np.array([[127.0, 0.5, 1.5, -2.5]], np.float32)

    assert quantize_rows(row, 8).tolist() == [[127, 0, 2, -2]]


def test_subnormal_rows_are_zeros():
    assert quantize_rows(np.array([[1e-40, -1e-42]], np.float32), 8).tolist() == [[0, 0]]


@pytest.mark.parametrize("bits", [0, 3, 16, None])
def test_other_widths_are_refused(bits):
    with pytest.raises(ValueError, match=rf"`bits` must be 4 or 8, got {bits}"):
        quantize_rows(np.ones((1, 2), np.float32), bits)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(value):
    with pytest.raises(ValueError, match="`rows` must be finite"):
        quantize_rows(np.array([[1.0, value]]), 8)
