"""Restoring rows in integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.golden.restore import restore

windows = st.tuples(st.integers(1, 8), st.integers(1, 4), st.integers(0, 2**32 - 1))


def random_window(sizes: tuple[int, int, int]) -> tuple[np.ndarray, ...]:
    num_tokens, channels, seed = sizes
    random = np.random.default_rng(seed)
    predicted = random.integers(-128, 128, (num_tokens, channels))
    tokens = random.permutation(num_tokens)[: random.integers(1, num_tokens + 1)]
    computed = random.integers(-128, 128, (len(tokens), channels))
    place = random.integers(0, len(tokens), num_tokens)
    place[tokens] = np.arange(len(tokens))
    return computed, predicted, tokens, place


@given(windows, st.booleans())
def test_a_computed_token_gets_its_computed_row(sizes, corrects: bool) -> None:
    computed, predicted, tokens, place = random_window(sizes)

    rows = restore(computed, predicted, tokens, place, 8, corrects=corrects)

    np.testing.assert_array_equal(rows[tokens], computed)


@given(windows)
def test_without_correction_rows_are_copies_of_the_partners(sizes) -> None:
    computed, predicted, tokens, place = random_window(sizes)

    rows = restore(computed, predicted, tokens, place, 8, corrects=False)

    np.testing.assert_array_equal(rows, computed[place])


@given(windows)
def test_a_partner_that_came_as_predicted_leaves_the_prediction(sizes) -> None:
    _, predicted, tokens, place = random_window(sizes)

    rows = restore(predicted[tokens], predicted, tokens, place, 8, corrects=True)

    np.testing.assert_array_equal(rows, predicted)


@pytest.mark.parametrize(("computed", "expected"), [(127, 127), (-128, -128)])
def test_sums_beyond_the_range_stop_at_its_ends(computed: int, expected: int) -> None:
    predicted = np.array([[0], [100 if computed > 0 else -100]])
    rows = restore(
        np.array([[computed]]), predicted, np.array([0]), np.array([0, 0]), 8, corrects=True
    )

    assert rows.tolist() == [[computed], [expected]]
