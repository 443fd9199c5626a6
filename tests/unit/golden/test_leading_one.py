import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tenuto.golden.leading_one import approximate, dot, lod, product, two_step_lod

INT8 = np.arange(-128, 128)
INT12 = np.arange(-2048, 2048)
DTYPES = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
BOTH = pytest.mark.parametrize("leading_ones", [1, 2])


def slow(value: int, leading_ones: int) -> int:
    """Keep the first ones of the number written in binary."""
    digits = f"{abs(value):b}"
    kept, left = "", leading_ones
    for digit in digits:
        kept += digit if left else "0"
        left -= digit == "1" and left > 0
    return (-1 if value < 0 else 1) * int(kept, 2)


@BOTH
def test_every_int12_value_keeps_the_first_ones_of_its_binary_digits(leading_ones: int) -> None:
    expected = [slow(int(value), leading_ones) for value in INT12]

    assert approximate(INT12, leading_ones).tolist() == expected


@BOTH
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_ends_of_every_dtype_are_exact_in_that_dtype(leading_ones: int, dtype) -> None:
    limits = np.iinfo(dtype)
    values = [limits.min, limits.min + 1, 0, 1, 5, limits.max]
    values = np.array([value for value in values if value >= limits.min], dtype)

    kept = approximate(values, leading_ones)

    assert kept.dtype == dtype
    assert kept.tolist() == [slow(int(value), leading_ones) for value in values]


@given(hnp.arrays(np.int16, hnp.array_shapes(min_dims=0, min_side=0), elements=st.integers(-9, 9)))
def test_any_shape_is_kept(values: np.ndarray) -> None:
    assert lod(values).shape == two_step_lod(values).shape == values.shape


def test_powers_of_two_and_zero_map_to_themselves() -> None:
    powers = np.array([0] + [sign * 2**bit for bit in range(62) for sign in (1, -1)])

    assert np.array_equal(lod(powers), powers)
    assert np.array_equal(two_step_lod(powers), powers)


def test_one_step_keeps_more_than_half_and_two_steps_more_than_three_quarters() -> None:
    values = np.arange(1, 2**14)

    assert np.all(2 * lod(values) > values)
    assert np.all(4 * two_step_lod(values) > 3 * values)
    assert np.all(lod(values) <= two_step_lod(values))
    assert np.all(two_step_lod(values) <= values)


def test_the_bounds_are_the_tightest_for_int12() -> None:
    values = INT12[INT12 != 0]

    assert (1 - lod(values) / values).max() == 1 - 1024 / 2047
    assert (1 - two_step_lod(values) / values).max() == 1 - 1536 / 2047


@BOTH
def test_a_shift_add_product_of_every_int8_pair_is_that_of_the_kept_ones(leading_ones: int) -> None:
    kept = approximate(INT8, leading_ones)

    shifted = product(INT8[:, None], INT8[None], leading_ones)

    assert np.array_equal(shifted, kept[:, None] * kept[None])


@BOTH
def test_a_product_of_every_int8_pair_lies_within_its_bounds(leading_ones: int) -> None:
    values = INT8[INT8 != 0]
    exact = values[:, None] * values[None]

    ratio = product(values[:, None], values[None], leading_ones) / exact

    assert ratio.max() == 1
    assert ratio.min() > (1 / 4 if leading_ones == 1 else 9 / 16)


@BOTH
def test_a_product_of_every_int12_value_with_hard_ones_lies_within_its_bounds(
    leading_ones: int,
) -> None:
    values = INT12[INT12 != 0]
    hard = np.array([1, 2, 3, -5, 6, 7, 85, -1023, 1535, 1536, 2047, -2048])

    kept = approximate(values, leading_ones)[:, None] * approximate(hard, leading_ones)
    shifted = product(values[:, None], hard, leading_ones)

    assert np.array_equal(shifted, kept)
    assert np.all(shifted / (values[:, None] * hard) > (1 / 4 if leading_ones == 1 else 9 / 16))


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.sampled_from([1, 2]))
def test_a_dot_product_is_the_matrix_product_of_the_kept_ones(
    seed: int, length: int, leading_ones: int
) -> None:
    generator = np.random.default_rng(seed)
    left = generator.integers(-2048, 2048, (3, length), np.int16)
    right = generator.integers(-2048, 2048, (4, length), np.int16)

    sums = dot(left[:, None], right[None], leading_ones)

    kept = [approximate(values, leading_ones).astype(np.int64) for values in (left, right)]
    assert sums.dtype == np.int64
    assert np.array_equal(sums, kept[0] @ kept[1].T)


def test_the_largest_operands_do_not_wrap() -> None:
    largest = 2**31 - 1

    assert product(largest, -largest) == -((2**30 + 2**29) ** 2)


def relative_errors(leading_ones: int) -> np.ndarray:
    """Of INT12 values from a Gaussian with a quarter of the range as its deviation."""
    generator = np.random.default_rng(0)
    values = np.clip(np.rint(generator.normal(0, 512, 200_000)), -2047, 2047).astype(np.int16)
    values = values[values != 0]
    return 1 - approximate(values, leading_ones) / values


def test_mean_and_largest_errors_of_gaussian_values_are_the_published_ones() -> None:
    one, two = relative_errors(1), relative_errors(2)

    assert (one.mean(), two.mean()) == pytest.approx((0.275, 0.084), abs=0.001)
    assert (one.max(), two.max()) == pytest.approx((0.50, 0.25), abs=0.001)


def test_a_product_needs_operands_below_two_to_the_31() -> None:
    with pytest.raises(
        ValueError, match=r"`right` must have magnitudes below 2\^31, got 2147483648"
    ):
        product(1, 2**31)


def test_numbers_that_are_not_integers_are_refused() -> None:
    with pytest.raises(TypeError, match="`values` must be integers, got dtype float64"):
        lod([1.5])
    with pytest.raises(TypeError, match="`left` must be integers, got dtype bool"):
        dot([True], [1])


def test_a_third_step_is_refused() -> None:
    for function in (lambda: approximate(1, 3), lambda: product(1, 1, 3)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="`leading_ones` must be 1 or 2, got 3"):
            function()
