"""The fast version against the integer definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.algorithms import facility_location
from tenuto.algorithms.datm import Datm, check_datm, match_datm
from tenuto.algorithms.facility_location import select_destinations
from tenuto.algorithms.fixed_similarity import fixed_similarity
from tenuto.algorithms.quantize import quantize_rows
from tenuto.golden import datm as golden
from tenuto.golden.quantize import quantize_rows as golden_quantize_rows

few_examples = settings(max_examples=40, deadline=None)


@st.composite
def problems(draw):
    """Features of a batch on a grid that windows may not divide, and settings that can be met."""
    grid = tuple(draw(st.lists(st.integers(2, 6), min_size=1, max_size=3)))
    window = tuple(draw(st.integers(2, axis)) for axis in grid)
    num_tokens = int(np.prod(grid))
    if len(grid) == 1 or draw(st.booleans()):
        window = draw(st.integers(2, num_tokens))
    num_windows = len(golden.window_members(num_tokens, window, grid))
    ratio = draw(st.floats(0, 1)) * (1 - num_windows / num_tokens)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    channels = draw(st.sampled_from([1, 5, 40]))
    features = torch.randn(draw(st.integers(1, 3)), num_tokens, channels, generator=generator)
    if draw(st.booleans()):  # many equal tokens, and zeros
        features = features.round()
    return features, grid, window, ratio, draw(st.sampled_from([0.01, 0.25, 0.6, 1.0]))


def plan_lists(plan, sample):
    return [index[sample].tolist() for index in (plan.keep, plan.src, plan.dst)]


@few_examples
@given(problems(), st.sampled_from([4, 8]))
def test_every_sample_gets_the_golden_plan(problem, bits):
    features, grid, window, ratio, share = problem
    settings = Datm(bits=bits, window=window, destinations=share)
    _, num_destinations = check_datm(features.shape[1], grid, ratio, settings)

    plan = match_datm(features, grid, ratio, settings)

    for sample, rows in enumerate(features.numpy()):
        expected = golden.match(
            golden_quantize_rows(rows, bits),
            ratio,
            window=window,
            num_destinations=num_destinations,
            grid=grid,
        )
        lists = [expected.keep.tolist(), expected.src.tolist(), expected.dst.tolist()]
        assert plan_lists(plan, sample) == lists


@few_examples
@given(st.integers(0, 2**31), st.sampled_from([1, 30, 2500]), st.sampled_from([4, 8]))
def test_similarities_are_the_golden_ones_for_any_width(seed, channels, bits):
    rows = torch.randn(9, channels, generator=torch.Generator().manual_seed(seed)) + 0.5
    quantized = quantize_rows(rows, bits)

    expected = golden.similarity(golden_quantize_rows(rows.numpy(), bits))

    assert np.array_equal(quantized.numpy(), golden_quantize_rows(rows.numpy(), bits))
    assert np.array_equal(fixed_similarity(quantized[None])[0].numpy(), expected)


def test_sums_beyond_the_precision_of_float32_are_exact():
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(100, 128, (1, 6, 20_000), generator=generator).float()

    expected = golden.similarity(tokens[0].to(torch.int8).numpy())

    assert np.array_equal(fixed_similarity(tokens)[0].numpy(), expected)


@pytest.mark.parametrize("seed", [1214, 2907])
def test_the_scale_of_a_row_is_rounded_once(seed):
    """With these rows ``127 * (1 / peak)`` gives another integer than ``127 / peak``."""
    rows = torch.randn(9, 30, generator=torch.Generator().manual_seed(seed)) + 0.5

    assert np.array_equal(quantize_rows(rows, 8).numpy(), golden_quantize_rows(rows.numpy(), 8))


def test_rows_too_small_to_scale_are_zeros_as_in_the_definition():
    rows = torch.tensor([[1e-40, -1e-42], [0.0, 0.0], [1e-31, 2e-31], [1.0, -3.0]])

    for bits in (4, 8):
        expected = golden_quantize_rows(rows.numpy(), bits)
        assert np.array_equal(quantize_rows(rows, bits).numpy(), expected)
        assert not expected[:3].any()


@pytest.mark.parametrize("num_destinations", [3, 11, 20, 29])
def test_one_crowded_window_gets_what_the_budget_of_all_allows(num_destinations):
    """Windows of equal tokens leave the budget to one whose sequence is then long."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.ones(3, 10, 24)
    tokens[1] = torch.randn(10, 24, generator=generator)
    quantized = quantize_rows(tokens, 8)
    matrices = [golden.similarity(part.to(torch.int8).numpy()) for part in quantized]

    chosen = select_destinations(
        fixed_similarity(quantized), torch.tensor([10, 10, 10]), num_destinations
    )

    expected = golden.select_destinations(matrices, num_destinations)
    assert [row.nonzero().flatten().tolist() for row in chosen] == [
        sorted(positions.tolist()) for positions in expected
    ]
    assert chosen[1].sum() == min(10, num_destinations - 2)


@pytest.mark.parametrize("seed", range(4))
def test_compiled_rounds_choose_what_torchs_operators_choose(monkeypatch, seed):
    pytest.importorskip("numba", reason="needs the fast extra: numba")
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(-3, 4, (6, 40, 16), generator=generator)  # coarse: many ties
    similarities = fixed_similarity(levels.float())
    num_members = torch.full((6,), 40)

    compiled = select_destinations(similarities, num_members, 70, 2)
    monkeypatch.setattr(facility_location, "IS_COMPILED", False)

    assert torch.equal(compiled, select_destinations(similarities, num_members, 70, 2))


@pytest.fixture
def clip():
    generator = torch.Generator().manual_seed(5)
    return torch.randn(2, 8 * 6 * 10, 48, generator=generator) + 0.5


SETTINGS = Datm(window=(4, 4, 4))
GRID = (8, 6, 10)


def test_the_plan_is_the_same_for_every_batch_order(clip):
    together = match_datm(clip, GRID, 0.6, SETTINGS)
    swapped = match_datm(clip.flip(0), GRID, 0.6, SETTINGS)

    for sample in range(2):
        alone = match_datm(clip[sample : sample + 1], GRID, 0.6, SETTINGS)
        assert plan_lists(together, sample) == plan_lists(alone, 0)
        assert plan_lists(together, sample) == plan_lists(swapped, 1 - sample)


def test_the_plan_does_not_depend_on_the_memory_layout(clip):
    transposed = clip.mT.contiguous().mT
    every_second = clip.repeat_interleave(2, dim=2)[..., ::2]

    plan = match_datm(clip, GRID, 0.6, SETTINGS)

    for other in (transposed, every_second):
        assert not other.is_contiguous()
        again = match_datm(other, GRID, 0.6, SETTINGS)
        assert [plan_lists(plan, s) for s in (0, 1)] == [plan_lists(again, s) for s in (0, 1)]


def test_the_plan_does_not_depend_on_the_number_of_threads(clip):
    before = torch.get_num_threads()
    plans = []
    for num_threads in (1, 3):
        torch.set_num_threads(num_threads)
        plans.append(match_datm(clip, GRID, 0.6, SETTINGS))
    torch.set_num_threads(before)

    assert [plan_lists(plans[0], s) for s in (0, 1)] == [plan_lists(plans[1], s) for s in (0, 1)]


@pytest.mark.parametrize("bits", [4, 8])
def test_the_length_of_a_token_does_not_matter(clip, bits):
    settings = Datm(window=(4, 4, 4), bits=bits)
    lengths = 2.0 ** torch.arange(-3, 5)[torch.arange(480) % 8][None, :, None]

    plan, scaled = (match_datm(f, GRID, 0.6, settings) for f in (clip, clip * lengths))

    assert plan_lists(plan, 0) == plan_lists(scaled, 0)


def pair_loss(features, plan):
    units = torch.nn.functional.normalize(features.double(), dim=-1)
    rows = [
        units.gather(1, i[..., None].expand(-1, -1, units.shape[-1])) for i in (plan.src, plan.dst)
    ]
    return float((1 - (rows[0] * rows[1]).sum(-1)).mean())


def test_fewer_bits_lose_little_and_not_less(clip):
    losses = {
        bits: pair_loss(clip, match_datm(clip, GRID, 0.5, Datm(window=(4, 4, 4), bits=bits)))
        for bits in (None, 8, 4)
    }

    assert losses[8] == pytest.approx(losses[None], rel=0.01)
    assert losses[4] == pytest.approx(losses[None], rel=0.1)


def test_a_loss_threshold_reduces_what_it_affords_in_sixteenths(clip):
    noise = torch.randn(2, 380, 48, generator=torch.Generator().manual_seed(6))
    clip[:, 100:] = clip[:, 100:101] + 0.6 * noise
    counts = []
    for threshold in (0.0, 0.1, 0.2, 0.4, 1.0):
        plan = match_datm(clip, GRID, 0.7, Datm(window=(4, 4, 4), loss_threshold=threshold))
        counts.append(plan.src.shape[1])
        if plan.src.shape[1]:
            assert pair_loss(clip, plan) <= threshold + 0.001

    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, int(0.7 * 480))
    assert all(count % 30 == 0 or count == counts[-1] for count in counts)
    assert 0 < counts[2] < counts[-1]


def test_all_samples_reduce_what_the_poorest_can_afford(clip):
    clip[1] = clip[1, :1]  # all tokens of the second sample are the same
    settings = Datm(window=(4, 4, 4), loss_threshold=0.4)

    together = match_datm(clip, GRID, 0.7, settings)

    alone = [match_datm(clip[s : s + 1], GRID, 0.7, settings).src.shape[1] for s in (0, 1)]
    assert alone[0] < alone[1]
    assert together.src.shape[1] == alone[0]


@pytest.mark.parametrize(
    ("grid", "ratio", "settings", "text"),
    [
        ((4, 4), 0.5, Datm(window=(8, 2)), "`window` must fit into the token grid (4, 4), got"),
        ((4, 4), 0.5, Datm(window=(2, 2, 2)), "`window` must fit into the token grid (4, 4), got"),
        ((4, 4), 0.5, Datm(window=17), "`window` must fit into the token grid (16,), got (17,)"),
        ((4, 5), 0.5, Datm(), "`grid` must hold 16 tokens, got (4, 5) = 20"),
        ((4, 4), 0.9, Datm(window=(2, 2)), "`ratio` must be in [0, 0.750] with windows of (2, 2)"),
        ((4, 4), -0.1, Datm(), "`ratio` must be in [0, 0.938]"),
    ],
)
def test_what_cannot_be_reached_is_refused(grid, ratio, settings, text):
    with pytest.raises(ValueError) as caught:
        match_datm(torch.randn(1, 16, 4), grid, ratio, settings)

    assert text in str(caught.value)


def test_operations_are_those_of_the_similarities():
    assert Datm().macs((8, 8, 8), 0.5, 192) == 2 * 256 * 256 * 192
    assert Datm(window=256).macs((13, 30, 45), 0.5, 1920) == 69 * 256 * 256 * 1920
