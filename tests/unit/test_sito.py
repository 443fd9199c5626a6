import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.algorithms.matching import num_reduced_of, window_members
from tenuto.algorithms.sito import SiToMatcher
from tenuto.baselines import SiTo

few_examples = settings(max_examples=20)


@st.composite
def problems(draw):
    """Features on a grid that 2 x 2 patches may not divide, and a ratio that can be reached."""
    grid = (draw(st.integers(2, 5)), draw(st.integers(2, 5)))
    num_tokens = grid[0] * grid[1]
    num_patches = (grid[0] // 2) * (grid[1] // 2)
    ratio = draw(st.floats(0, 1)) * (1 - num_patches / num_tokens)
    seed = draw(st.integers(0, 2**31 - 1))
    features = torch.randn(2, num_tokens, 5, generator=torch.Generator().manual_seed(seed))
    return features, grid, ratio


def slow_sito(features, grid, ratio, noise):
    """SiTo's rules token by token; one sample, float64."""
    units = torch.nn.functional.normalize(features.double(), dim=-1)
    graph = [[float(a @ b) for b in units] for a in units]
    scores = [sum(row) + float(n) for row, n in zip(graph, noise, strict=True)]
    bases = [max(m, key=lambda i: (scores[i], -i)) for m in window_members(grid, (2, 2)).tolist()]
    likeness = {i: max(graph[i][b] for b in bases) for i in range(len(units)) if i not in bases}
    order = sorted(likeness, key=lambda i: (-likeness[i], i))
    pruned = order[: num_reduced_of(len(units), ratio)]
    kept = [i for i in range(len(units)) if i not in pruned]
    return {i: max(kept, key=lambda j: (graph[i][j], -j)) for i in pruned}


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"ratio": -0.1}, "`ratio` must be in [0, 1), got -0.1"),
        ({"patch": (2, 0)}, "`patch` must be None or integers of at least 1, got (2, 0)"),
        ({"noise": -1.0}, "`noise` must be at least 0, got -1.0"),
        ({"seed": -1}, "`seed` must be an integer in [0, 2**32), got -1"),
    ],
)
def test_a_bad_setting_is_refused_with_its_rule(setting, text):
    with pytest.raises(ValueError) as caught:
        SiTo(**setting)

    assert str(caught.value) == text


def test_the_published_setting_prunes_70_percent_of_self_attention_at_every_step():
    reduction = SiTo.paper().reduction()

    assert reduction.schedule.row(0, 1) == reduction.schedule.row(9, 1) == (0.7,)
    assert (reduction.parts, reduction.merge) == (frozenset({"self"}), False)
    assert SiTo.neutral().reduction().schedule.row(5, 2) == (0.0, 0.0)


@few_examples
@given(problems())
def test_without_noise_the_pairs_equal_a_search_through_all_tokens(problem):
    features, grid, ratio = problem

    plan = SiToMatcher(patch=None, noise=0.0, seed=0).match(features, grid, ratio, 0)

    for sample in range(2):
        pairs = dict(zip(plan.src[sample].tolist(), plan.dst[sample].tolist(), strict=True))
        assert pairs == slow_sito(features[sample], grid, ratio, [0.0] * len(features[sample]))


@few_examples
@given(problems(), st.integers(0, 3))
def test_noise_is_added_to_the_scores_that_choose_the_bases(problem, draw):
    features, grid, ratio = problem

    plan = SiToMatcher(patch=None, noise=2.0, seed=5).match(features, grid, ratio, draw)

    generator = torch.Generator().manual_seed(5 * 2**31 + draw)
    noise = 2.0 * torch.randn(features.shape[1], generator=generator)
    pairs = dict(zip(plan.src[0].tolist(), plan.dst[0].tolist(), strict=True))
    assert pairs == slow_sito(features[0], grid, ratio, noise)


@few_examples
@given(problems())
def test_tokens_are_partitioned_and_partners_are_kept(problem):
    features, grid, ratio = problem

    plan = SiToMatcher(patch=None, noise=0.1, seed=0).match(features, grid, ratio, 0)

    everything = torch.cat([plan.keep, plan.src], 1).sort(1).values
    assert torch.equal(everything, torch.arange(features.shape[1]).expand(2, -1))
    for sample in range(2):
        assert set(plan.dst[sample].tolist()) <= set(plan.keep[sample].tolist())


def test_a_seed_decides_the_noise_and_every_matching_draws_anew():
    features = torch.randn(1, 64, 4, generator=torch.Generator().manual_seed(0))

    def kept(seed, draw):
        plan = SiToMatcher(patch=None, noise=50.0, seed=seed).match(features, (8, 8), 0.7, draw)
        return plan.keep

    torch.manual_seed(1)
    first = kept(0, 0)
    torch.manual_seed(2)
    assert torch.equal(first, kept(0, 0))
    assert not torch.equal(first, kept(1, 0))
    assert not torch.equal(first, kept(0, 1))


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()

    SiToMatcher(patch=None, noise=0.1, seed=0).match(torch.randn(1, 16, 4), (4, 4), 0.5, 0)
    torch.set_rng_state(state)
    expected = torch.rand(1)
    torch.set_rng_state(state)

    assert torch.equal(torch.rand(1), expected)
