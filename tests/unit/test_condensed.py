"""Condensed products against whole ones."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.condensed import (
    even_bounds,
    pick_columns,
    project_from_columns,
    project_to_columns,
)


@st.composite
def problems(draw):
    """Tokens, a layer, and columns for tiles of any lengths, empty ones among them."""
    batch, rows, tiles = draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.integers(1, 3))
    out, picked = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    picked = min(picked, out)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    edges = st.lists(st.integers(0, rows), min_size=tiles - 1, max_size=tiles - 1)
    bounds = tuple((0, *sorted(draw(edges)), rows) for _ in range(batch))
    order = torch.rand(batch, tiles, out, generator=generator).argsort(-1)
    tokens = torch.randn(batch, rows, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(out, 5, generator=generator, dtype=torch.float64)
    bias = torch.randn(out, generator=generator, dtype=torch.float64)
    return tokens, weight, bias, order[..., :picked].sort(-1).values, bounds


def columns_of_rows(columns, bounds, num_rows):
    """The columns that each single row picks, (batch, rows, picked)."""
    per_row = torch.zeros(len(bounds), num_rows, columns.shape[2], dtype=torch.int64)
    for sample, edges in enumerate(bounds):
        for tile in range(columns.shape[1]):
            per_row[sample, edges[tile] : edges[tile + 1]] = columns[sample, tile]
    return per_row


@given(problems())
def test_picked_outputs_are_those_of_the_whole_layer(problem):
    tokens, weight, bias, columns, bounds = problem
    per_row = columns_of_rows(columns, bounds, tokens.shape[1])

    for some_bias in (bias, None):
        picked = project_to_columns(tokens, weight, some_bias, columns, bounds)
        whole = F.linear(tokens, weight, some_bias)
        torch.testing.assert_close(picked, whole.gather(2, per_row))
        assert torch.equal(pick_columns(whole, columns, bounds), whole.gather(2, per_row))


@given(problems())
def test_picked_inputs_give_what_the_whole_layer_makes_of_them_among_zeros(problem):
    tokens, weight, _, columns, bounds = problem
    per_row = columns_of_rows(columns, bounds, tokens.shape[1])
    values = tokens[..., :1].expand(-1, -1, columns.shape[2]).contiguous()
    among_zeros = torch.zeros(*tokens.shape[:2], weight.shape[0], dtype=torch.float64)
    among_zeros.scatter_(2, per_row, values)

    output = project_from_columns(values, weight.t(), columns, bounds)

    torch.testing.assert_close(output, F.linear(among_zeros, weight.t()))


@given(rows=st.integers(1, 200), tile_rows=st.integers(1, 70))
def test_even_tiles_cover_all_rows_and_only_the_last_is_shorter(rows, tile_rows):
    (edges,) = even_bounds(1, rows, tile_rows)

    lengths = [end - start for start, end in pairwise(edges)]
    assert sum(lengths) == rows
    assert set(lengths[:-1]) <= {tile_rows}
    assert 1 <= lengths[-1] <= tile_rows
