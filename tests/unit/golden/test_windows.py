import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.golden.windows import window_members


@st.composite
def grids(draw):
    grid = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)))
    return grid, tuple(draw(st.integers(1, axis)) for axis in grid)


@given(grids())
def test_every_token_is_in_one_window_with_its_neighbours(case):
    grid, window = case
    num_tokens = int(np.prod(grid))

    members = window_members(num_tokens, window, grid)

    assert sorted(np.concatenate(members).tolist()) == list(range(num_tokens))
    for index in members:
        assert (np.diff(index) > 0).all()
        blocks = {
            tuple(p // w for p, w in zip(np.unravel_index(token, grid), window, strict=True))
            for token in index
        }
        assert len(blocks) == 1
    firsts = [tuple(np.unravel_index(index[0], grid)) for index in members]
    assert firsts == sorted(firsts)


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_count_is_a_window_on_a_line(num_tokens, window):
    window = min(window, num_tokens)

    counted = window_members(num_tokens, window)

    on_a_line = window_members(num_tokens, (window,), (num_tokens,))
    assert [a.tolist() for a in counted] == [a.tolist() for a in on_a_line]


@pytest.mark.parametrize(
    ("num_tokens", "window", "grid", "text"),
    [
        (8, (2, 2), None, "`grid` must be given for a window with axes such as (2, 2), got None"),
        (8, (2, 2), (2, 3), "`grid` must hold 8 tokens, got (2, 3) = 6"),
        (6, (3, 2), (2, 3), "`window` must fit into the token grid (2, 3), got (3, 2)"),
        (6, (2,), (2, 3), "`window` must fit into the token grid (2, 3), got (2,)"),
        (6, (0, 2), (2, 3), "`window` must fit into the token grid (2, 3), got (0, 2)"),
        (6, 7, None, "`window` must be in [1, 6] tokens, got 7"),
        (6, 0, None, "`window` must be in [1, 6] tokens, got 0"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(num_tokens, window, grid, text):
    with pytest.raises(ValueError) as caught:
        window_members(num_tokens, window, grid)

    assert str(caught.value) == text
