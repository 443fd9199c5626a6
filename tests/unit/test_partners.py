import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.matching import match_tokens
from tenuto.algorithms.partners import with_partners
from tenuto.algorithms.restore import restore_rows
from tenuto.integration.rows import PlanRows

SEEDS = st.integers(0, 2**31 - 1)


def example(seed, partners=3):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 16, 5, generator=generator)
    plan = with_partners(features, match_tokens(features, (4, 4), (2, 2), 0.5), partners)
    kept = torch.randn(2, 8, 3, generator=generator)
    forecast = torch.randn(2, 16, 3, generator=generator)
    return features, plan, kept, forecast


@given(SEEDS)
def test_partners_are_the_most_similar_kept_tokens(seed):
    features, plan, _, _ = example(seed)

    units = torch.nn.functional.normalize(features.double(), dim=-1)
    for sample in range(2):
        kept = plan.keep[sample].tolist()
        for row, token in enumerate(plan.src[sample].tolist()):
            cosine = {j: float(units[sample, token] @ units[sample, j]) for j in kept}
            expected = sorted(kept, key=lambda j: (-cosine[j], j))[:3]
            found = [int(plan.dst[sample, row]), *plan.further[sample, row].tolist()]
            assert found == expected


@given(SEEDS, st.floats(0, 1))
def test_a_token_moves_by_the_mean_innovation_of_its_partners(seed, gain):
    _, plan, kept, forecast = example(seed)
    rows = PlanRows(plan)

    output = restore_rows(kept, rows.kept(), rows.slots, forecast, gain)

    for sample in range(2):
        order = plan.keep[sample].tolist()
        for row, token in enumerate(order):
            assert torch.equal(output[sample, token], kept[sample, row])
        for row, token in enumerate(plan.src[sample].tolist()):
            partners = [int(plan.dst[sample, row]), *plan.further[sample, row].tolist()]
            missed = [kept[sample, order.index(j)] - forecast[sample, j] for j in partners]
            expected = forecast[sample, token] + gain * sum(missed) / 3
            torch.testing.assert_close(output[sample, token], expected)


def test_without_a_forecast_a_token_is_the_mean_of_its_partners():
    _, plan, kept, _ = example(0)
    rows = PlanRows(plan)

    output = restore_rows(kept, rows.kept(), rows.slots, None, 1.0)

    order = plan.keep[0].tolist()
    partners = [int(plan.dst[0, 0]), *plan.further[0, 0].tolist()]
    expected = sum(kept[0, order.index(j)] for j in partners) / 3
    torch.testing.assert_close(output[0, int(plan.src[0, 0])], expected)
    assert torch.equal(output[0, order], kept[0])


def test_one_partner_is_the_nearest_kept_token_and_nothing_further():
    _, plan, kept, _ = example(0, partners=1)
    rows = PlanRows(plan)

    assert plan.further.shape == (2, 8, 0)
    restored = restore_rows(kept, rows.kept(), rows.slots, None, 1.0)
    assert torch.equal(restored[0, plan.src[0]], restored[0, plan.dst[0]])


def test_a_narrowed_plan_keeps_the_partners_of_what_it_still_reduces():
    _, plan, _, _ = example(0)

    narrow = plan.narrowed(3)

    assert torch.equal(narrow.further, plan.further[:, :3])


def test_more_partners_than_kept_tokens_are_refused():
    plan = MatchPlan(torch.tensor([[0]]), torch.tensor([[1]]), torch.tensor([[0]]))

    with pytest.raises(ValueError, match=r"`partners` must be at most the 1 tokens .* kept, got 2"):
        with_partners(torch.ones(1, 2, 3), plan, 2)
