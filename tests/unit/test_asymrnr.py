import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.algorithms.asymrnr import EuclideanMatcher, ratios_from_tiers
from tenuto.algorithms.matching import num_reduced_of, window_members
from tenuto.baselines import AsymRnR

few_examples = settings(max_examples=20)


@st.composite
def problems(draw):
    """Features on a video grid that boxes of 2 x 2 x 2 may not divide, and a ratio in reach."""
    grid = tuple(draw(st.integers(2, 4)) for _ in range(3))
    num_tokens = torch.Size(grid).numel()
    num_boxes = torch.Size([axis // 2 for axis in grid]).numel()
    ratio = draw(st.floats(0, 1)) * (1 - num_boxes / num_tokens)
    seed = draw(st.integers(0, 2**31 - 1))
    features = torch.randn(2, num_tokens, 5, generator=torch.Generator().manual_seed(seed))
    return features, grid, ratio


def slow_match(features, grid, ratio, seed):
    """Nearest random token of any box, the nearest sources first; one sample, float64."""
    members = window_members(grid, (2, 2, 2))
    generator = torch.Generator().manual_seed(seed * 2**31)
    places = torch.randint(8, (len(members), 1), generator=generator)[:, 0].tolist()
    dst = sorted(int(box[place]) for box, place in zip(members, places, strict=True))
    tokens = features.double()
    distance = {
        i: min((float((tokens[i] - tokens[j]).square().sum()), j) for j in dst)
        for i in range(len(tokens))
        if i not in dst
    }
    chosen = sorted(distance, key=lambda i: (distance[i][0], i))[
        : num_reduced_of(len(tokens), ratio)
    ]
    return {i: distance[i][1] for i in chosen}


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"query_ratio": 1.0}, "`query_ratio` must be in [0, 1), got 1.0"),
        ({"key_ratio": (0.5, 1.0)}, "`key_ratio` must be in [0, 1), got (0.5, 1.0)"),
        ({"stride": (2, 0)}, "`stride` must be None or integers of at least 1, got (2, 0)"),
        ({"reuse_steps": 0}, "`reuse_steps` must be at least 1, got 0"),
        ({"seed": 2**32}, "`seed` must be an integer in [0, 2**32), got 4294967296"),
    ],
)
def test_a_bad_setting_is_refused_with_its_rule(setting, text):
    with pytest.raises(ValueError) as caught:
        AsymRnR(**setting)

    assert str(caught.value) == text


def test_the_published_setting_is_flat():
    funnel = AsymRnR.paper().reduction().funnel

    assert funnel.queries.row(0, 2) == funnel.queries.row(49, 2) == (0.176, 0.176)
    assert funnel.keys.row(0, 2) == funnel.keys.row(49, 2) == (0.09, 0.09)
    assert AsymRnR.neutral().reduction().schedule.row(0, 2) == (0.0, 0.0)


def test_a_table_may_reduce_the_first_step_and_is_dense_past_its_end():
    technique = AsymRnR(query_ratio=((0.5, 0.0), 0.25), key_ratio=(0.0, 0.3))
    schedule = technique.reduction().schedule

    assert schedule.row(0, 2) == (0.5, 0.0)
    assert schedule.row(1, 2) == (0.3, 0.3)
    assert schedule.row(2, 2) == (0.0, 0.0)


def test_a_tier_gets_the_largest_ratio_that_it_reaches():
    table = ratios_from_tiers([[0, 6, 9], [5, 7, 8]], {6: 0.4, 7: 0.8})

    assert table == ((0.0, 0.4, 0.8), (0.0, 0.8, 0.8))


@few_examples
@given(problems(), st.integers(0, 3))
def test_pairs_equal_a_search_through_all_distances(problem, seed):
    features, grid, ratio = problem

    plan = EuclideanMatcher(stride=None, seed=seed).match(features, grid, ratio, 0)

    for sample in range(2):
        pairs = dict(zip(plan.src[sample].tolist(), plan.dst[sample].tolist(), strict=True))
        assert pairs == slow_match(features[sample], grid, ratio, seed)


def test_length_counts_where_the_cosine_would_not_see_it():
    features = torch.tensor([[[1.0], [9.0], [1.5], [10.0]]])
    matcher = next(
        m
        for m in (EuclideanMatcher(stride=(2,), seed=s) for s in range(50))
        if m.match(features, (4,), 0.0, 0).keep.shape == (1, 4)
    )

    plan = matcher.match(features, (4,), 0.5, 0)

    pairs = dict(zip(plan.src[0].tolist(), plan.dst[0].tolist(), strict=True))
    distances = {i: abs(float(features[0, i, 0] - features[0, j, 0])) for i, j in pairs.items()}
    others = {
        i: [abs(float(features[0, i, 0] - features[0, k, 0])) for k in plan.keep[0].tolist()]
        for i in pairs
    }
    assert all(distances[i] == min(others[i]) for i in pairs)


def test_every_matching_draws_its_own_tokens_of_the_boxes():
    features = torch.randn(1, 64, 4, generator=torch.Generator().manual_seed(0))
    matcher = EuclideanMatcher(stride=None, seed=0)

    kept = [matcher.match(features, (4, 4, 4), 0.875, draw).keep for draw in (0, 0, 1)]

    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[2])
