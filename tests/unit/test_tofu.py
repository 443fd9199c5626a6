import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.match_plan import MatchPlan, merge_into_destinations
from tenuto.baselines import ToFu

SEEDS = st.integers(0, 2**31 - 1)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"ratio": 1.0}, "`ratio` must be in [0, 1), got 1.0"),
        ({"window": ()}, "`window` must be None or integers of at least 1, got ()"),
        ({"prune_depth": 1.5}, "`prune_depth` must be in [0, 1], got 1.5"),
        (
            {"scope": ()},
            "`scope` must name some of ['attn', 'cross', 'ffn', 'self'], got ()",
        ),
    ],
)
def test_a_bad_setting_is_refused_with_its_rule(setting, text):
    with pytest.raises(ValueError) as caught:
        ToFu(**setting)

    assert str(caught.value) == text


def test_the_setting_prunes_in_the_first_half_and_merges_with_norms_in_the_second():
    reduction = ToFu.paper().reduction()

    assert reduction.schedule.row(0, 1) == reduction.schedule.row(9, 1) == (0.5,)
    assert (reduction.merge, reduction.merge_from, reduction.keeps_norm) == (True, 0.5, True)
    assert ToFu.neutral().reduction().schedule.row(5, 2) == (0.0, 0.0)


def random_plan(seed, num_tokens=9, num_kept=4):
    generator = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(num_tokens, generator=generator) for _ in range(2)])
    keep, src = order[:, :num_kept], order[:, num_kept:]
    dst = keep.gather(1, torch.randint(num_kept, src.shape, generator=generator))
    return MatchPlan(keep, src, dst), torch.randn(2, num_tokens, 3, generator=generator)


@given(SEEDS)
def test_a_merged_row_is_the_mean_stretched_to_the_largest_norm_of_its_group(seed):
    plan, tokens = random_plan(seed)

    merged = merge_into_destinations(tokens, plan, keeps_norm=True)

    expected = tokens.double().clone()
    for sample in range(2):
        for token in plan.keep[sample].tolist():
            group = [token, *plan.src[sample][plan.dst[sample] == token].tolist()]
            rows = [tokens[sample, member].double() for member in group]
            mean = sum(rows) / len(rows)
            expected[sample, token] = mean / mean.norm() * max(row.norm() for row in rows)
    torch.testing.assert_close(merged.double(), expected, rtol=1e-3, atol=1e-5)


@given(SEEDS)
def test_rows_that_nothing_is_merged_into_keep_every_bit(seed):
    plan, tokens = random_plan(seed)

    merged = merge_into_destinations(tokens, plan, keeps_norm=True)

    for sample in range(2):
        alone = sorted(set(range(9)) - set(plan.dst[sample].tolist()))
        assert torch.equal(merged[sample, alone], tokens[sample, alone])


def test_tokens_that_cancel_out_merge_to_zero_not_to_nothing():
    plan = MatchPlan(torch.tensor([[0]]), torch.tensor([[1]]), torch.tensor([[0]]))
    tokens = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])

    merged = merge_into_destinations(tokens, plan, keeps_norm=True)

    assert merged[0, 0].tolist() == [0.0, 0.0]


def test_equal_tokens_merge_to_themselves():
    plan, tokens = random_plan(1)
    tokens = tokens[:, :1].expand(-1, 9, -1)

    merged = merge_into_destinations(tokens, plan, keeps_norm=True)

    torch.testing.assert_close(merged, tokens)
