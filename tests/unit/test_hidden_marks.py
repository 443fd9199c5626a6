"""Marks on hidden values: which ones, how many, and packed to bits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.hidden_marks import (
    change_scores,
    mark_columns,
    mark_elements,
    num_marked,
    output_norms,
    pack_bits,
    unpack_bits,
)


@st.composite
def scores(draw):
    """Scores of two samples, many of them equal."""
    shape = (2, draw(st.integers(1, 7)), draw(st.integers(1, 19)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    levels = draw(st.integers(1, 50))
    return torch.randint(0, levels, shape, generator=generator).float()


shares = st.floats(0, 0.999)


@given(total=st.integers(1, 10**6), sparsity=shares)
def test_the_number_of_marks_is_the_rounded_share_and_never_zero(total, sparsity):
    count = num_marked(total, sparsity)

    assert 1 <= count <= total
    assert count == 1 or abs(count - total * (1 - sparsity)) <= 0.5 + 1e-6


@given(values=scores(), sparsity=shares)
def test_marked_elements_are_the_first_of_a_stable_sort_by_falling_score(values, sparsity):
    marks = mark_elements(values, sparsity)

    for sample, marked in zip(values.flatten(1).tolist(), marks.flatten(1), strict=True):
        ranked = sorted(range(len(sample)), key=lambda i: (-sample[i], i))
        expected = sorted(ranked[: num_marked(len(sample), sparsity)])
        assert marked.nonzero().flatten().tolist() == expected


@given(values=scores(), sparsity=shares, tile_rows=st.integers(1, 8))
def test_a_tiles_columns_are_those_with_the_largest_norm_ties_to_the_lowest(
    values, sparsity, tile_rows
):
    columns = mark_columns(values, sparsity, tile_rows)

    for sample in range(2):
        for tile, start in enumerate(range(0, values.shape[1], tile_rows)):
            rows = values[sample, start : start + tile_rows].double()
            energy = [float(rows[:, j].square().sum()) for j in range(values.shape[2])]
            ranked = sorted(range(len(energy)), key=lambda j: (-energy[j], j))
            expected = sorted(ranked[: num_marked(len(energy), sparsity)])
            assert columns[sample, tile].tolist() == expected


@given(values=scores(), sparsity=shares)
def test_a_samples_marks_do_not_depend_on_the_other_samples(values, sparsity):
    swapped = values.flip(0)

    assert torch.equal(mark_elements(swapped, sparsity), mark_elements(values, sparsity).flip(0))
    assert torch.equal(
        mark_columns(swapped, sparsity, 3), mark_columns(values, sparsity, 3).flip(0)
    )


@given(values=scores())
def test_packed_marks_come_back_and_take_a_bit_each(values):
    marks = values > 3

    packed = pack_bits(marks)

    assert packed.dtype == torch.uint8
    assert packed.shape == (*marks.shape[:2], -(-marks.shape[2] // 8))
    assert torch.equal(unpack_bits(packed, marks.shape[2]), marks)


def test_bits_are_packed_from_the_lowest_column_into_the_lowest_bit():
    marks = torch.zeros(1, 1, 11, dtype=torch.bool)
    marks[0, 0, [1, 8, 10]] = True

    assert pack_bits(marks).tolist() == [[[0b10, 0b101]]]


def test_a_change_counts_as_far_as_it_moves_the_output():
    weight = torch.tensor([[3.0, 0.0], [4.0, 1.0]])
    hidden, previous = torch.tensor([[[1.0, 5.0]]]), torch.tensor([[[2.0, 2.0]]])

    norms = output_norms(weight)

    assert norms.tolist() == [5.0, 1.0]
    assert change_scores(hidden, previous, norms).tolist() == [[[5.0, 3.0]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_marks_of_low_precision_values_have_the_exact_count_too(dtype):
    values = torch.randn(2, 33, 40, generator=torch.Generator().manual_seed(0)).abs().to(dtype)

    marks = mark_elements(values, 0.9)

    assert marks.flatten(1).sum(1).tolist() == [132, 132]
    for sample, marked in zip(values, marks, strict=True):
        assert sample[marked].min() >= sample[~marked].max()
