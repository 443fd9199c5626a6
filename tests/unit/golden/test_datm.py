"""The integer definition against exhaustive search and plain Python integers."""

from itertools import combinations
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.golden.datm import (
    FULL,
    assign,
    gains,
    loss_codes,
    match,
    reciprocal_roots,
    select_destinations,
    similarity,
    threshold,
)
from tenuto.golden.windows import window_members

few_examples = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def random_tokens(seed, num_tokens, channels=6, peak=127):
    generator = np.random.default_rng(seed)
    return generator.integers(-peak, peak + 1, (num_tokens, channels)).astype(np.int8)


def coverage(matrix, chosen):
    return int(matrix[:, sorted(chosen)].max(axis=1).sum())


@given(st.integers(0, 2**30))
def test_the_mantissa_is_the_largest_that_fits(norm):
    (mantissa,), (exponent,) = reciprocal_roots(np.array([norm]))

    if norm == 0:
        assert mantissa == 0
        return
    assert 4**exponent <= norm < 4 ** (exponent + 1)
    exact = isqrt(2 ** (32 + 2 * int(exponent)) // norm)
    assert mantissa == min(exact, 2**16 - 1)
    assert mantissa >= 2**15


@few_examples
@given(seeds, st.sampled_from([1, 3, 40]), st.sampled_from([1, 7, 127]))
def test_similarity_is_the_cosine_to_three_units(seed, channels, peak):
    tokens = random_tokens(seed, 12, channels, peak)
    wide = tokens.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1)
    cosine = wide @ wide.T / np.maximum(np.outer(norms, norms), 1e-9)
    np.fill_diagonal(cosine, 1.0)

    fixed = similarity(tokens)

    assert np.array_equal(fixed, fixed.T)
    assert (fixed <= FULL).all()
    assert np.abs(fixed - np.maximum(cosine, 0) * 2**15).max() <= 3


def test_the_widest_products_stay_in_range():
    tokens = np.full((2, 65_536), -128, np.int8)
    tokens[1] = 127

    assert similarity(tokens).tolist() == [[FULL, 0], [0, FULL]]
    tokens[1] = -127
    assert similarity(tokens)[0, 1] == FULL


def test_zero_tokens_resemble_only_themselves():
    assert similarity(np.zeros((2, 3), np.int8)).tolist() == [[FULL, 0], [0, FULL]]


@few_examples
@given(seeds, st.integers(1, 4))
def test_greedy_covers_as_much_as_its_bound_says(seed, num_destinations):
    matrix = similarity(random_tokens(seed, 9, 3))
    optimal = max(coverage(matrix, c) for c in combinations(range(9), num_destinations))

    (chosen,) = select_destinations([matrix], num_destinations)

    greedy = coverage(matrix, chosen)
    assert len(set(chosen.tolist())) == num_destinations
    assert optimal * (1 - 1 / np.e) <= greedy <= optimal


def test_greedy_is_close_to_the_optimum_on_small_windows(capsys):
    """Prints both mean losses a token, in cosine units."""
    greedy_loss, optimal_loss = [], []
    for seed in range(20):
        matrix = similarity(random_tokens(seed, 10, 3))
        (chosen,) = select_destinations([matrix], 3)
        greedy_loss.append(10 * FULL - coverage(matrix, chosen))
        optimal_loss.append(
            10 * FULL - max(coverage(matrix, c) for c in combinations(range(10), 3))
        )

    scale = 20 * 10 * FULL
    with capsys.disabled():
        print(f" greedy {sum(greedy_loss) / scale:.4f} optimal {sum(optimal_loss) / scale:.4f}")
    assert sum(optimal_loss) <= sum(greedy_loss) <= 1.1 * sum(optimal_loss)


def test_all_windows_together_are_close_to_the_optimum():
    """One global budget: exhaustive over the destination sets of both windows."""
    matrices = [similarity(random_tokens(1, 5, 3)), similarity(random_tokens(2, 6, 3))]
    sets = [
        [c for k in range(1, len(m) + 1) for c in combinations(range(len(m)), k)] for m in matrices
    ]
    optimal = max(
        coverage(matrices[0], a) + coverage(matrices[1], b)
        for a in sets[0]
        for b in sets[1]
        if len(a) + len(b) == 5
    )

    chosen = select_destinations(matrices, 5)

    greedy = sum(coverage(m, c) for m, c in zip(matrices, chosen, strict=True))
    assert sum(map(len, chosen)) == 5
    assert optimal * (1 - 1 / np.e) <= greedy <= optimal


@few_examples
@given(seeds, st.integers(1, 5), st.data())
def test_windows_compete_as_merging_their_own_greedy_sequences_would(seed, num_windows, data):
    peak = data.draw(st.sampled_from([1, 127]))  # 1: many equal gains
    matrices = [similarity(random_tokens(seed + w, 4 + w % 3, 3, peak)) for w in range(num_windows)]
    num_tokens = sum(map(len, matrices))
    num_destinations = data.draw(st.integers(num_windows, num_tokens))
    entries = []
    for number, matrix in enumerate(matrices):
        covered = np.zeros(len(matrix), np.int32)
        for order, position in enumerate(select_destinations([matrix], len(matrix))[0]):
            gain = int(gains(matrix, covered)[position])
            covered = np.maximum(covered, matrix[:, position])
            entries.append((order > 0, -gain if order else 0, number, order, int(position)))
    merged = [[] for _ in matrices]
    for _, _, number, _, position in sorted(entries)[:num_destinations]:
        merged[number].append(position)

    chosen = select_destinations(matrices, num_destinations)

    assert [c.tolist() for c in chosen] == merged


@few_examples
@given(seeds)
def test_gains_never_grow_as_destinations_are_added(seed):
    matrix = similarity(random_tokens(seed, 12, 4))
    (chosen,) = select_destinations([matrix], 12)
    covered = np.zeros(12, np.int32)
    before = gains(matrix, covered)

    for position in chosen:
        covered = np.maximum(covered, matrix[:, position])
        after = gains(matrix, covered)
        assert (after <= before).all()
        before = after


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_tokens_without_ties_does_not_matter(seed):
    # Later choices tie by nature: of two tokens that only resemble each other, either will do.
    tokens = np.abs(random_tokens(seed, 12, 30))
    order = np.random.default_rng(seed + 1).permutation(12)
    (chosen,) = select_destinations([similarity(tokens)], 2)
    (shuffled,) = select_destinations([similarity(tokens[order])], 2)

    assert order[shuffled].tolist() == chosen.tolist()


def test_ties_go_to_the_lowest_index():
    same = np.array([[3, 1]] * 8, np.int8)

    plan = match(same, 0.5, window=4, num_destinations=3)

    # One destination a window, the third to the lower window; its lowest free positions.
    assert plan.keep.tolist() == [0, 1, 4, 7]
    assert plan.src.tolist() == [2, 3, 5, 6]
    assert plan.dst.tolist() == [0, 0, 4, 4]


def test_an_equally_similar_destination_of_lower_index_wins():
    matrix = np.array([[9, 0, 5], [0, 9, 5], [5, 5, 9]], np.int32)

    assert assign(matrix, np.array([1, 0]))[0].tolist() == [0, 1, 0]


@given(st.integers(0, FULL), st.integers(0, FULL))
def test_loss_codes_keep_the_order_and_a_sixteenth_of_the_size(a, b):
    low, high = sorted((a, b))
    code_low, code_high = loss_codes(np.array([low, high]))

    assert code_low <= code_high
    if code_low == code_high:
        assert high - low <= low / 16


@few_examples
@given(seeds, st.floats(0, 0.74), st.sampled_from([3, 20, 127]))
def test_exactly_the_asked_share_is_reduced_and_the_cheapest_bins_go_first(seed, ratio, peak):
    tokens = random_tokens(seed, 30, 5, peak)

    plan = match(tokens, ratio, window=8, num_destinations=7)

    assert len(plan.src) == int(30 * ratio)
    assert sorted([*plan.keep.tolist(), *plan.src.tolist()]) == list(range(30))
    assert set(plan.dst.tolist()) <= set(plan.keep.tolist())
    assert (plan.src // 8 == plan.dst // 8).all()
    everything = match(tokens, 23 / 30, window=8, num_destinations=7)
    by_index = np.argsort(everything.src)
    candidates, partners = everything.src[by_index], everything.dst[by_index]
    losses = [
        FULL - similarity(tokens[8 * (i // 8) : 8 * (i // 8) + 8])[i % 8, j % 8]
        for i, j in zip(candidates, partners, strict=True)
    ]
    codes = loss_codes(np.array(losses))
    boundary, quota = threshold(codes, len(plan.src))
    expected = candidates[codes < boundary].tolist()
    expected += candidates[codes == boundary][:quota].tolist()
    assert sorted(plan.src.tolist()) == sorted(expected)


@few_examples
@given(seeds)
def test_reducing_fewer_tokens_is_the_beginning_of_reducing_more(seed):
    tokens = random_tokens(seed, 24)
    many = match(tokens, 0.7, window=8, num_destinations=5)
    few = match(tokens, 0.3, window=8, num_destinations=5)

    assert few.src.tolist() == many.src[: len(few.src)].tolist()
    assert few.dst.tolist() == many.dst[: len(few.src)].tolist()


def test_grid_windows_are_windows_of_the_reordered_tokens():
    tokens = random_tokens(3, 36)
    order = np.concatenate(window_members(36, (2, 3), (6, 6)))
    on_grid = match(tokens, 0.5, window=(2, 3), grid=(6, 6))
    in_line = match(tokens[order], 0.5, window=6)

    # Who is a destination of whom is the same; which of equal losses go first follows the index.
    pairs = dict(zip(on_grid.src.tolist(), on_grid.dst.tolist(), strict=True))
    for src, dst in zip(order[in_line.src], order[in_line.dst], strict=True):
        assert pairs.get(int(src), int(dst)) == dst


def test_without_a_window_there_are_256_tokens_in_one_or_all():
    tokens = random_tokens(4, 300)

    assert match(tokens, 0.5).src.tolist() == match(tokens, 0.5, window=256).src.tolist()
    assert match(tokens[:9], 0.5).src.tolist() == match(tokens[:9], 0.5, window=9).src.tolist()


def test_a_ratio_of_zero_keeps_everything():
    plan = match(random_tokens(0, 10), 0.0, window=5)

    assert plan.keep.tolist() == list(range(10))
    assert plan.src.tolist() == plan.dst.tolist() == []


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"ratio": 0.9}, "`ratio` must be in [0, 0.800] with 2 destinations among 10 tokens"),
        ({"ratio": -0.1}, "`ratio` must be in [0, 0.800] with 2 destinations"),
        ({"ratio": float("nan")}, "`ratio` must be in [0, 0.800] with 2 destinations"),
        (
            {"ratio": 0.7, "num_destinations": 4},
            "`ratio` must be in [0, 0.600] with 4 destinations among 10 tokens, got 0.7",
        ),
        (
            {"ratio": 0.1, "num_destinations": 1},
            "`num_destinations` must be in [2, 10], one a window at least, got 1",
        ),
        ({"ratio": 0.1, "window": 11}, "`window` must be in [1, 10] tokens, got 11"),
        ({"ratio": 0.1, "window": (2, 2)}, "`grid` must be given for a window with axes"),
    ],
)
def test_what_cannot_be_reached_is_refused(setting, text):
    with pytest.raises(ValueError) as caught:
        match(random_tokens(0, 10), **{"window": 5, **setting})

    assert text in str(caught.value)


@pytest.mark.parametrize(
    "tokens", [np.zeros((4, 2), np.int16), np.zeros(4, np.int8), np.zeros((4, 0), np.int8)]
)
def test_other_tokens_are_refused(tokens):
    with pytest.raises(ValueError, match=r"`tokens` must be int8 of shape \(n, d\), got"):
        match(tokens, 0.0, window=2)


def test_too_many_channels_are_refused():
    with pytest.raises(ValueError, match="`tokens` must have at most 65,536 channels, got 65537"):
        match(np.zeros((2, 65_537), np.int8), 0.0, window=2)
