"""Blocks for every budget, against all sets there are."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.subset_search import best_subsets


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), max_size=7))
def test_no_set_saves_more_at_a_smaller_error(items):
    savings = [float(saving) for saving, _ in items]
    errors = [float(error) for _, error in items]

    found = best_subsets(savings, errors)

    def sums(chosen):
        return sum(savings[i] for i in chosen), sum(errors[i] for i in chosen)

    unit = sum(savings) / 256
    every = [s for size in range(len(items) + 1) for s in combinations(range(len(items)), size)]
    for chosen in every:
        saving, error = sums(chosen)
        # Rounding moves each saving by half a unit, in either set.
        slack = unit * len(items)
        assert any(sums(f)[0] >= saving - slack and sums(f)[1] <= error for f in found)
    assert [sums(f)[1] for f in found] == sorted(sums(f)[1] for f in found)


def test_of_equal_items_the_first_stays():
    assert best_subsets([1.0, 1.0], [2.0, 2.0]) == [(), (0,), (0, 1)]


def test_items_that_save_nothing_are_not_chosen():
    assert best_subsets([0.0, 1.0], [0.5, 1.0]) == [(), (1,)]


@pytest.mark.parametrize(("savings", "errors"), [([1.0], []), ([-1.0], [0.0]), ([1.0], [-0.1])])
def test_items_without_an_error_or_below_zero_are_refused(savings, errors):
    with pytest.raises(ValueError, match=r"^`savings` and `errors` must be numbers of at least 0"):
        best_subsets(savings, errors)
