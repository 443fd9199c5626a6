import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.algorithms.matching import window_members
from tenuto.algorithms.toma import ToMAMatcher, cover_greedily
from tenuto.baselines import ToMA

SEEDS = st.integers(0, 2**31 - 1)
few_examples = settings(max_examples=20)


def random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_gains(similarity, chosen):
    """What each token adds to the cover of one tile, by trying every one; no token twice."""
    tokens = range(len(similarity))
    if not chosen:
        return {j: sum(float(similarity[j, i]) for i in tokens) for j in tokens}
    covered = [max(float(similarity[j, i]) for j in chosen) for i in tokens]
    return {
        j: sum(max(float(similarity[j, i]) - covered[i], 0.0) for i in tokens)
        for j in tokens
        if j not in chosen
    }


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"ratio": 1.0}, "`ratio` must be in [0, 1), got 1.0"),
        ({"interval": 0}, "`interval` must be at least 1, got 0"),
        ({"depth": -0.5}, "`depth` must be in [0, 1], got -0.5"),
        ({"tile": (0,)}, "`tile` must be None or integers of at least 1, got (0,)"),
        ({"scale": 0.0}, "`scale` must be more than 0, got 0.0"),
        ({"reuse_steps": 0}, "`reuse_steps` must be at least 1, got 0"),
    ],
)
def test_a_bad_setting_is_refused_with_its_rule(setting, text):
    with pytest.raises(ValueError) as caught:
        ToMA(**setting)

    assert str(caught.value) == text


def test_the_published_setting_merges_flux_single_blocks_after_the_fifth_at_every_third_step():
    schedule = ToMA.paper().reduction().schedule

    assert schedule.row(0, 57) == schedule.row(3, 57) == (0.0,) * 24 + (0.5,) * 33
    assert schedule.row(1, 57) == schedule.row(2, 57) == (0.0,) * 57
    assert ToMA.neutral().reduction().schedule.row(0, 2) == (0.0, 0.0)


@few_examples
@given(SEEDS, st.integers(1, 6))
def test_each_destination_is_the_best_of_a_search_through_all_candidates(seed, num_chosen):
    units = torch.nn.functional.normalize(random(seed, 3, 6, 4), dim=-1)
    similarity = units @ units.mT

    chosen = cover_greedily(similarity, num_chosen)

    for tile in range(3):
        order = chosen[tile].tolist()
        assert len(set(order)) == num_chosen
        for number, token in enumerate(order):
            gains = slow_gains(similarity[tile], order[:number])
            assert gains[token] >= max(gains.values()) - 1.1e-4


def test_two_tokens_that_cover_each_other_are_a_tie_whatever_the_rounding():
    similarity = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    noisy = similarity.clone()
    noisy[1, 1] += 1e-6

    assert cover_greedily(similarity[None], 2).tolist() == [[0, 2]]
    assert cover_greedily(noisy[None], 2).tolist() == [[0, 2]]


def test_equal_tokens_are_never_chosen_twice():
    assert cover_greedily(torch.ones(1, 4, 4), 3).tolist() == [[0, 1, 2]]


@few_examples
@given(SEEDS, st.floats(0, 0.9))
def test_weights_are_a_softmax_of_the_cosines_to_the_tiles_destinations(seed, ratio):
    features, grid, tile = random(seed, 2, 24, 5), (4, 6), (2, 3)

    plan = ToMAMatcher(tile=tile, scale=7.0).match(features, grid, ratio, 0)

    units = torch.nn.functional.normalize(features.double(), dim=-1)
    members = window_members(grid, tile)
    num_kept = max(1, (24 - int(24 * ratio)) // 4)
    keep = plan.keep.unflatten(1, (4, num_kept))
    for sample in range(2):
        for number, tokens in enumerate(members.tolist()):
            chosen = keep[sample, number].tolist()
            assert chosen == sorted(set(chosen) & set(tokens))
            for position, token in enumerate(tokens):
                scores = torch.stack([7 * units[sample, token] @ units[sample, d] for d in chosen])
                torch.testing.assert_close(
                    plan.soft.weights[sample, number, :, position].double(),
                    scores.exp() / scores.exp().sum(),
                    rtol=1e-4, atol=1e-5,
                )  # fmt: skip


@few_examples
@given(SEEDS, st.floats(0, 0.9))
def test_tokens_are_partitioned_and_the_partner_has_the_largest_weight(seed, ratio):
    plan = ToMAMatcher(tile=None, scale=10.0).match(random(seed, 2, 24, 5), (4, 6), ratio, 0)

    everything = torch.cat([plan.keep, plan.src], 1).sort(1).values
    assert torch.equal(everything, torch.arange(24).expand(2, -1))
    units = torch.nn.functional.normalize(random(seed, 2, 24, 5), dim=-1)
    members = window_members((4, 6), (4, 3))
    for sample in range(2):
        kept = set(plan.keep[sample].tolist())
        for src, dst in zip(plan.src[sample].tolist(), plan.dst[sample].tolist(), strict=True):
            tile = next(m for m in members.tolist() if src in m)
            rivals = [d for d in tile if d in kept]
            cosines = {d: float(units[sample, src] @ units[sample, d]) for d in rivals}
            assert cosines[dst] == pytest.approx(max(cosines.values()), abs=1e-5)


@pytest.mark.parametrize("tile", [(4, 4), (2,)])
def test_a_tile_that_does_not_divide_the_grid_is_refused(tile):
    with pytest.raises(ValueError) as caught:
        ToMAMatcher(tile=tile, scale=1.0).check((6, 4), 0.5)

    assert str(caught.value) == f"`tile` must divide the token grid (6, 4), got {tile}"


def test_a_plan_with_weights_cannot_be_narrowed():
    plan = ToMAMatcher(tile=None, scale=1.0).match(random(0, 1, 16, 3), (4, 4), 0.5, 0)

    assert plan.narrowed(8) is plan
    with pytest.raises(ValueError, match="`num_reduced` must be 8 in a plan with soft weights"):
        plan.narrowed(4)
