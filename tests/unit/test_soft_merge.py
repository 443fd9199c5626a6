import torch
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.soft_merge import SoftMerge

SEEDS = st.integers(0, 2**31 - 1)


def example(seed):
    """Three tiles of four tokens in a random order, two kept rows each, two samples."""
    generator = torch.Generator().manual_seed(seed)
    members = torch.randperm(12, generator=generator).reshape(3, 4)
    weights = torch.randn(2, 3, 2, 4, generator=generator).softmax(2)
    tokens = torch.randn(2, 12, 5, generator=generator)
    return SoftMerge(members, weights), tokens


@given(SEEDS)
def test_a_merged_row_is_the_average_of_its_tile_by_its_weights(seed):
    soft, tokens = example(seed)

    merged = soft.merge(tokens)

    for sample in range(2):
        for tile in range(3):
            for row in range(2):
                weights = soft.weights[sample, tile, row]
                total = sum(
                    weight * tokens[sample, token]
                    for weight, token in zip(weights, soft.members[tile].tolist(), strict=True)
                )
                torch.testing.assert_close(merged[sample, 2 * tile + row], total / weights.sum())


@given(SEEDS)
def test_an_unmerged_token_is_the_sum_of_its_shares_in_the_rows_of_its_tile(seed):
    soft, _ = example(seed)
    rows = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(seed))

    tokens = soft.unmerge(rows)

    for sample in range(2):
        for tile, members in enumerate(soft.members.tolist()):
            for position, token in enumerate(members):
                shares = soft.weights[sample, tile, :, position]
                expected = sum(shares[r] * rows[sample, 2 * tile + r] for r in range(2))
                torch.testing.assert_close(tokens[sample, token], expected)


def test_tiles_of_equal_tokens_come_back_as_they_were():
    soft, _ = example(0)
    tokens = torch.empty(2, 12, 5)
    for tile, members in enumerate(soft.members):
        tokens[:, members] = float(tile)

    torch.testing.assert_close(soft.unmerge(soft.merge(tokens)), tokens)


def test_the_dtype_of_the_tokens_is_kept():
    soft, tokens = example(0)

    assert soft.merge(tokens.bfloat16()).dtype == torch.bfloat16
    assert soft.unmerge(soft.merge(tokens.bfloat16())).dtype == torch.bfloat16
