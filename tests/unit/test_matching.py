import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.algorithms import matching
from tenuto.algorithms.matching import (
    FrequencyPenalty,
    check_reducible,
    match_tokens,
    matching_macs,
    nearest_destinations,
    num_reduced_of,
    window_members,
)

few_examples = settings(max_examples=20)


@given(st.integers(1, 200_000), st.data())
def test_a_ratio_of_whole_tokens_loses_none_of_them(num_tokens, data):
    wanted = data.draw(st.integers(0, num_tokens - 1))

    assert num_reduced_of(num_tokens, wanted / num_tokens) == wanted
    assert num_reduced_of(num_tokens, (wanted + 0.5) / num_tokens) == wanted


def test_hundredths_of_hundreds_of_tokens_are_whole():
    for hundredths in range(100):
        assert num_reduced_of(200, hundredths / 100) == 2 * hundredths


@st.composite
def problems(draw):
    """A grid of two or three axes, possibly ragged, a window that fits, features, a ratio."""
    grid = tuple(draw(st.lists(st.integers(2, 5), min_size=2, max_size=3)))
    window = tuple(draw(st.integers(1, min(3, axis))) for axis in grid)
    if max(window) == 1:
        window = (2, *window[1:])
    num_tokens = torch.Size(grid).numel()
    num_windows = torch.Size([g // w for g, w in zip(grid, window, strict=True)]).numel()
    ratio = draw(st.floats(0, 1)) * (1 - num_windows / num_tokens)
    seed = draw(st.integers(0, 2**31 - 1))
    features = torch.randn(2, num_tokens, 5, generator=torch.Generator().manual_seed(seed))
    return features, grid, window, ratio


def slow_match(features, grid, window, ratio):
    """Nearest first member of any window, best cosines first; one sample, float64, plain loops."""
    units = torch.nn.functional.normalize(features.double(), dim=-1)
    dst = window_members(grid, window)[:, 0].tolist()
    src = [token for token in range(len(units)) if token not in dst]
    best = {i: max((float(units[i] @ units[j]), -j) for j in dst) for i in src}
    chosen = sorted(src, key=lambda i: (-best[i][0], i))[: num_reduced_of(len(units), ratio)]
    return {i: -best[i][1] for i in chosen}


@few_examples
@given(problems(), st.booleans())
def test_tokens_are_partitioned_and_partners_are_kept(problem, densest):
    features, grid, window, ratio = problem

    plan = match_tokens(features, grid, window, ratio, densest=densest)

    everything = torch.cat([plan.keep, plan.src], 1).sort(1).values
    assert torch.equal(everything, torch.arange(features.shape[1]).expand(2, -1))
    for sample in range(2):
        assert set(plan.dst[sample].tolist()) <= set(plan.keep[sample].tolist())


@few_examples
@given(problems(), st.booleans())
def test_the_number_of_reduced_tokens_depends_on_ratio_and_grid_alone(problem, densest):
    features, grid, window, ratio = problem

    plan = match_tokens(features, grid, window, ratio, densest=densest)

    assert plan.src.shape == plan.dst.shape == (2, num_reduced_of(features.shape[1], ratio))


@few_examples
@given(problems())
def test_matching_equals_a_search_through_all_pairs(problem):
    features, grid, window, ratio = problem

    plan = match_tokens(features, grid, window, ratio)

    for sample in range(2):
        pairs = dict(zip(plan.src[sample].tolist(), plan.dst[sample].tolist(), strict=True))
        assert pairs == slow_match(features[sample], grid, window, ratio)


@few_examples
@given(problems())
def test_matching_in_pieces_equals_matching_at_once(problem):
    features, grid, window, ratio = problem
    whole = match_tokens(features, grid, window, ratio)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_CHUNK_ELEMENTS", 3)
        pieces = match_tokens(features, grid, window, ratio)

    assert torch.equal(whole.src, pieces.src)
    assert torch.equal(whole.dst, pieces.dst)


@few_examples
@given(problems(), st.randoms(use_true_random=False))
def test_matching_does_not_depend_on_the_order_of_channels(problem, random):
    features, grid, window, ratio = problem
    # Powers of two, so that sums are exact in any order and rounding cannot decide.
    features = features.sign()[..., :4]
    order = random.sample(range(4), 4)

    plan = match_tokens(features, grid, window, ratio)
    shuffled = match_tokens(features[..., order], grid, window, ratio)

    assert torch.equal(plan.src, shuffled.src)
    assert torch.equal(plan.dst, shuffled.dst)


def test_samples_are_matched_on_their_own():
    features = torch.randn(2, 16, 4, generator=torch.Generator().manual_seed(0))

    both = match_tokens(features, (4, 4), (2, 2), 0.5)
    second = match_tokens(features[1:], (4, 4), (2, 2), 0.5)

    assert torch.equal(both.src[1:], second.src)
    assert torch.equal(both.dst[1:], second.dst)


def test_equal_tokens_tie_to_the_lowest_indices():
    plan = match_tokens(torch.ones(1, 16, 4), (4, 4), (2, 2), 0.25)

    assert plan.src.tolist() == [[1, 3, 4, 5]]
    assert plan.dst.tolist() == [[0, 0, 0, 0]]


def test_the_densest_of_equal_tokens_is_the_first_of_its_window():
    plan = match_tokens(torch.ones(1, 16, 4), (4, 4), (2, 2), 0.75, densest=True)

    assert plan.keep.tolist() == [[0, 2, 8, 10]]


def test_the_densest_token_of_a_window_is_its_destination():
    # Three of four tokens point the same way; the first one does not.
    line = torch.tensor([[[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]])

    plan = match_tokens(line, (4,), (4,), 0.5, densest=True)

    assert plan.dst.tolist() == [[1, 1]]
    assert plan.keep.tolist() == [[0, 1]]


def test_a_token_that_was_reduced_often_is_reduced_less():
    line = torch.ones(1, 4, 2)
    share = torch.tensor([[0.0, 1.0, 0.0, 0.0]])

    plan = match_tokens(line, (4,), (4,), 0.5, penalty=FrequencyPenalty(share, 0.1))

    assert plan.src.tolist() == [[2, 3]]


def test_a_token_that_was_reduced_often_becomes_a_destination():
    line = torch.ones(1, 4, 2)
    share = torch.tensor([[0.0, 0.0, 1.0, 0.5]])

    plan = match_tokens(line, (4,), (4,), 0.5, densest=True, penalty=FrequencyPenalty(share, 0.1))

    assert plan.dst.tolist() == [[2, 2]]
    assert plan.src.tolist() == [[0, 1]]


def test_the_penalty_counts_in_units_of_cosine_similarity():
    # Cosines with token 0: 1, 0.8, 0.6. A penalty of 0.3 on the best lets the second pass it.
    line = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.8, 0.6], [0.6, 0.8]]])
    share = torch.tensor([[0.0, 1.0, 0.0, 0.0]])

    mild = match_tokens(line, (4,), (4,), 0.25, penalty=FrequencyPenalty(share, 0.1))
    strong = match_tokens(line, (4,), (4,), 0.25, penalty=FrequencyPenalty(share, 0.3))

    assert mild.src.tolist() == [[1]]
    assert strong.src.tolist() == [[2]]


def test_tokens_outside_complete_windows_are_never_destinations():
    # 3 x 3 with 2 x 2 windows: one window, five tokens outside.
    features = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(0))

    plan = match_tokens(features, (3, 3), (2, 2), 0.85, densest=True)

    assert set(plan.dst.flatten().tolist()) <= {0, 1, 3, 4}
    assert plan.src.shape[1] == 7


@pytest.mark.parametrize(
    ("grid", "window", "expected"),
    [
        ((2, 4), (2, 2), [[0, 1, 4, 5], [2, 3, 6, 7]]),
        ((3, 3), (2, 2), [[0, 1, 3, 4]]),
        ((2, 2, 2), (1, 2, 2), [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ((2, 2, 3), (2, 2, 2), [[0, 1, 3, 4, 6, 7, 9, 10]]),
        ((5,), (2,), [[0, 1], [2, 3]]),
    ],
)
def test_windows_tile_the_grid_from_its_first_corner(grid, window, expected):
    assert window_members(grid, window).tolist() == expected


@few_examples
@given(problems())
def test_nearest_destinations_are_those_of_a_matching_of_all_tokens(problem):
    features, grid, window, _ = problem
    dst = window_members(grid, window)[:, 0]
    num_tokens = features.shape[1]
    all_others = (num_tokens - len(dst)) / num_tokens

    nearest = nearest_destinations(features, grid, window)

    for sample in range(2):
        pairs = slow_match(features[sample], grid, window, all_others + 1e-9)
        in_order = [pairs[token] for token in sorted(pairs)]
        assert dst[nearest[sample]].tolist() == in_order


def test_matching_macs_are_the_similarity_matrix():
    assert matching_macs(num_tokens=16, num_windows=4, channels=8) == 12 * 4 * 8


@pytest.mark.parametrize(
    ("num_tokens", "grid", "window", "ratio", "text"),
    [
        (15, (4, 4), (2, 2), 0.5, r"`grid` must hold 15 tokens, got \(4, 4\) = 16"),
        (16, (4, 4), (2,), 0.5, r"`window` must fit into the token grid \(4, 4\), got \(2,\)"),
        (4, (1, 4), (2, 2), 0.5, r"`window` must fit into the token grid \(1, 4\), got \(2, 2\)"),
        (
            16,
            (4, 4),
            (2, 2),
            0.9,
            r"`ratio` must be in \[0, 0.750\] with windows of \(2, 2\) on the grid \(4, 4\) "
            r"\(one token of each is kept\), got 0.9",
        ),
        (16, (4, 4), (2, 2), -0.5, r"`ratio` must be in \[0, 0.750\] .*, got -0.5"),
    ],
)
def test_what_cannot_be_reduced_is_refused_with_the_rule(num_tokens, grid, window, ratio, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        check_reducible(num_tokens, grid, window, ratio)


def test_the_largest_ratio_that_the_error_names_is_accepted():
    assert check_reducible(16, (4, 4), (2, 2), 0.75) == 12


@pytest.mark.bench
@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (7, 10), (9, 9)])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.7])
def test_the_partition_equals_that_of_the_tomesd_package(rows, columns, ratio):
    merge_module = pytest.importorskip("tomesd.merge", reason="needs the bench extra: tomesd")
    num_tokens = rows * columns
    tokens = torch.randn(2, num_tokens, 16, generator=torch.Generator().manual_seed(1))

    plan = match_tokens(tokens, (rows, columns), (2, 2), ratio)

    _, unmerge = merge_module.bipartite_soft_matching_random2d(
        tokens, columns, rows, 2, 2, int(num_tokens * ratio), no_rand=True
    )
    # Unmerging the numbers of the rows tells which row stands for each token.
    num_kept = num_tokens - int(num_tokens * ratio)
    row_of_token = unmerge(torch.arange(num_kept).float().expand(2, -1)[..., None])[..., 0]
    groups = row_of_token[:, :, None] == row_of_token[:, None, :]
    slots = plan.slots()
    assert torch.equal(groups, slots[:, :, None] == slots[:, None, :])
