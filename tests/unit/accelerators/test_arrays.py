"""Closed forms against counts of SCALE-Sim 3.0.0, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.accelerators.arrays import (
    dot_product_cycles,
    input_stationary_cycles,
    output_stationary_cycles,
    systolic_cycles,
    weight_stationary_cycles,
)
from tenuto.hardware import DotProductArray, SystolicArray

SIZES = st.integers(1, 5000)


def one(value: float) -> np.ndarray:
    return np.array([float(value)])


@pytest.mark.parametrize(
    ("form", "side", "m", "n", "k", "cycles"),
    [
        (weight_stationary_cycles, 32, 512, 512, 512, 155_135),
        (weight_stationary_cycles, 128, 512, 512, 512, 14_303),
        (output_stationary_cycles, 128, 512, 512, 512, 12_255),
        (weight_stationary_cycles, 128, 1024, 512, 512, 22_495),
        (output_stationary_cycles, 128, 1024, 1152, 1152, 101_231),
    ],
)
def test_the_closed_forms_are_scale_sims_cycles(form, side, m, n, k, cycles) -> None:
    array = SystolicArray(pe_rows=side, pe_columns=side)

    assert form(array, one(m), one(n), one(k)).tolist() == [cycles]


def test_input_stationary_is_weight_stationary_with_the_factors_exchanged() -> None:
    array = SystolicArray(pe_rows=16, pe_columns=32)
    m, n, k = one(100), one(70), one(90)

    swapped = weight_stationary_cycles(array, n, m, k)

    np.testing.assert_array_equal(input_stationary_cycles(array, m, n, k), swapped)


@given(m=SIZES, n=SIZES, k=SIZES, count=st.integers(1, 60), cores=st.integers(1, 40))
def test_arrays_never_beat_their_multipliers(
    m: int, n: int, k: int, count: int, cores: int
) -> None:
    array = SystolicArray(pe_rows=16, pe_columns=8)

    cycles = systolic_cycles(array, cores, one(m), one(n), one(k), one(count))

    assert cycles[0] >= m * n * k * count / (cores * array.macs_per_cycle)


@given(m=SIZES, n=SIZES, k=SIZES, count=st.integers(1, 60), cores=st.integers(1, 20))
def test_more_cores_never_take_longer(m: int, n: int, k: int, count: int, cores: int) -> None:
    array = SystolicArray(pe_rows=16, pe_columns=8)

    few, many = (
        systolic_cycles(array, cores * factor, one(m), one(n), one(k), one(count))
        for factor in (1, 2)
    )

    assert many[0] <= few[0]


def test_empty_products_take_no_cycle() -> None:
    systolic = SystolicArray(pe_rows=8, pe_columns=8)
    dots = DotProductArray(dot_length=24)

    assert systolic_cycles(systolic, 4, one(0), one(9), one(9), one(1)).tolist() == [0]
    assert dot_product_cycles(dots, 4, one(0), one(9)).tolist() == [0]


def test_dot_product_tiles_take_turns_on_the_cores() -> None:
    array = DotProductArray(dot_length=24, pipeline_cycles=8)

    cycles = dot_product_cycles(array, 4, one(9), one(50))

    assert cycles.tolist() == [3 * 3 + 8]
