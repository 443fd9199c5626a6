import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.match_plan import MatchPlan, merge_into_destinations


@st.composite
def plans(draw):
    """Any partition with any partners, for a batch of two."""
    num_tokens = draw(st.integers(1, 12))
    num_kept = draw(st.integers(1, num_tokens))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    order = torch.stack([torch.randperm(num_tokens, generator=generator) for _ in range(2)])
    keep, src = order[:, :num_kept].sort(1).values, order[:, num_kept:]
    partner = torch.randint(num_kept, src.shape, generator=generator)
    return MatchPlan(keep, src, keep.gather(1, partner))


@given(plans())
def test_a_slot_leads_to_the_token_itself_or_to_its_partner(plan):
    reached = plan.keep.gather(1, plan.slots())

    expected = torch.arange(plan.num_tokens).expand_as(reached).clone()
    expected.scatter_(1, plan.src, plan.dst)
    assert torch.equal(reached, expected)


@given(plans(), st.data())
def test_a_narrowed_plan_reduces_the_first_and_keeps_the_others(plan, data):
    count = data.draw(st.integers(0, plan.src.shape[1]))

    narrow = plan.narrowed(count)

    assert torch.equal(narrow.src, plan.src[:, :count])
    assert torch.equal(narrow.dst, plan.dst[:, :count])
    everything = torch.cat([narrow.keep, narrow.src], 1).sort(1).values
    assert torch.equal(everything, torch.arange(plan.num_tokens).expand(2, -1))
    assert narrow.ratio == count / plan.num_tokens


def test_a_plan_cannot_be_narrowed_to_more_than_it_reduces():
    plan = MatchPlan(torch.tensor([[0, 2]]), torch.tensor([[1]]), torch.tensor([[2]]))

    with pytest.raises(ValueError, match=r"^`num_reduced` must be in \[0, 1\], got 2$"):
        plan.narrowed(2)


@given(plans())
def test_merging_replaces_each_destination_by_the_mean_of_its_group(plan):
    tokens = torch.randn(2, plan.num_tokens, 3, generator=torch.Generator().manual_seed(0))

    merged = merge_into_destinations(tokens, plan)

    for sample in range(2):
        for token in range(plan.num_tokens):
            group = [token, *plan.src[sample][plan.dst[sample] == token].tolist()]
            mean = tokens[sample, group].mean(0)
            torch.testing.assert_close(merged[sample, token], mean)


@given(plans())
def test_merging_leaves_its_argument_alone(plan):
    tokens = torch.randn(2, plan.num_tokens, 3, generator=torch.Generator().manual_seed(0))
    before = tokens.clone()

    merge_into_destinations(tokens, plan)

    assert torch.equal(tokens, before)
