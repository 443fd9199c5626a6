import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.eager_prediction import (
    EagerPrediction,
    leading_ones,
    multiply,
    plan_from_scores,
    quantize,
)
from tenuto.golden import eager_prediction as golden
from tenuto.golden.leading_one import lod, two_step_lod

SEEDS = st.integers(0, 2**32 - 1)
FIELDS = ("keep", "one_hot", "needed_queries", "needed_keys", "needed_values")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leading_ones_of_every_int12_value_are_the_golden_ones(dtype: torch.dtype) -> None:
    values = np.arange(-2048, 2048)

    for predictor, function in (("one_step", lod), ("two_step", two_step_lod)):
        kept = leading_ones(torch.tensor(values, dtype=dtype), predictor)
        assert kept.dtype == dtype
        assert kept.tolist() == function(values).tolist()


@pytest.mark.parametrize("shape", [(3, 4, 1152, 72), (2, 2, 9, 5)])
def test_the_largest_products_are_exact(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    left = generator.integers(1500, 2048, (shape[0], shape[1], shape[2]))
    right = generator.integers(1500, 2048, (shape[2], shape[3]))

    product = multiply(torch.tensor(left).float(), torch.tensor(right).float(), "two_step")

    assert product.numpy().tolist() == (two_step_lod(left) @ two_step_lod(right)).tolist()


@given(SEEDS, st.integers(1, 12), st.sampled_from([1, 30, 500]), st.none() | st.integers(0, 40))
def test_a_plan_is_the_golden_plan_bit_for_bit(seed, num_keys, spread, threshold) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(-spread, spread + 1, (2, 3, 5, num_keys))
    keep_count = int(generator.integers(1, num_keys + 1))
    limit = None if threshold is None else torch.full((2, 3, 1), float(threshold))

    plan = plan_from_scores(torch.tensor(scores, dtype=torch.float64), keep_count, limit)

    expected = golden.plan_from_scores(scores, keep_count, threshold)
    for name in FIELDS:
        assert np.array_equal(getattr(plan, name).numpy(), getattr(expected, name)), name


@given(SEEDS)
def test_a_prediction_from_the_input_is_the_golden_one_bit_for_bit(seed: int) -> None:
    generator = np.random.default_rng(seed)
    tokens = generator.integers(-2047, 2048, (2, 9, 6))
    weights = generator.integers(-2047, 2048, (2, 3, 6, 4))
    expected = golden.predict(
        tokens, weights[0], weights[1], keep_count=4, one_hot_threshold=200_000
    )

    single, double = torch.tensor(tokens).float(), torch.tensor(weights).float()
    sums = [multiply(single[:, None], weight, "two_step") for weight in double]
    queries, keys = (torch.tensor(golden.requantize(sum_.long().numpy())).double() for sum_ in sums)
    scores = multiply(queries, keys.mT, "two_step")
    plan = plan_from_scores(scores, 4, torch.tensor(200_000.0))

    for name in FIELDS:
        assert np.array_equal(getattr(plan, name).numpy(), getattr(expected, name)), name


def test_a_forbidden_key_is_never_kept() -> None:
    scores = torch.tensor([[[[3.0, -torch.inf, 1.0, -torch.inf]]]])

    plan = plan_from_scores(scores, 3, None)

    assert plan.keep.flatten().tolist() == [True, False, True, False]
    assert plan_from_scores(scores - torch.inf, 3, torch.tensor(1.0)).keep.sum() == 0


def test_a_row_with_one_allowed_key_is_one_hot() -> None:
    scores = torch.tensor([[[[3.0, -torch.inf]]]])

    assert plan_from_scores(scores, 2, torch.tensor(100.0)).one_hot.all()


@given(SEEDS, st.integers(2, 12))
def test_quantized_values_are_within_half_a_unit_and_use_the_range(seed: int, bits: int) -> None:
    values = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(seed))
    values[1] = 0

    numbers, unit = quantize(values, bits, (1, 2))

    assert unit.shape == (3, 1, 1)
    assert torch.equal(numbers, numbers.round())
    assert numbers.abs().amax((1, 2)).tolist() == [2 ** (bits - 1) - 1, 0, 2 ** (bits - 1) - 1]
    assert ((numbers * unit - values).abs() <= 0.5001 * unit).all()


@given(st.integers(1, 200), st.floats(0.01, 1))
def test_keeping_more_never_drops_a_key(num_keys: int, ratio: float) -> None:
    technique = EagerPrediction(keep_ratio=ratio)

    count = technique.keep_count(num_keys)

    assert 1 <= count <= num_keys
    assert ratio * num_keys - 1e-6 <= count < ratio * num_keys + 1
    scores = torch.randn(1, 1, 4, num_keys)
    more = plan_from_scores(scores, min(num_keys, count + 1), None).keep
    assert (plan_from_scores(scores, count, None).keep <= more).all()


def test_the_neutral_setting_is_off_and_the_papers_is_not() -> None:
    assert EagerPrediction.neutral().is_off
    assert EagerPrediction(keep_ratio=1.0, one_hot_threshold=0.0).is_off
    assert not EagerPrediction.paper().is_off


@pytest.mark.parametrize(("arguments", "message"), [
    ({"keep_ratio": 0.0}, r"`keep_ratio` must be in \(0, 1\], got 0.0"),
    ({"keep_ratio": 1.5}, r"`keep_ratio` must be in \(0, 1\], got 1.5"),
    ({"keep_ratio": float("nan")}, r"`keep_ratio` must be in \(0, 1\], got nan"),
    ({"one_hot_threshold": -1.0}, "`one_hot_threshold` must be None or at least 0, got -1.0"),
    ({"one_hot_threshold": float("nan")}, "`one_hot_threshold` must be None or at least 0"),
    ({"bits": 13}, r"`bits` must be in \[2, 12\], got 13"),
    ({"scope": ("ffn",)}, r"`scope` must be some of \['self', 'cross'\], got \('ffn',\)"),
    ({"scope": ()}, r"`scope` must be some of"),
    ({"blocks": (-1,)}, r"`blocks` must be None or numbers from 0, got \(-1,\)"),
    ({"blocks": ()}, r"`blocks` must be None or numbers from 0, got \(\)"),
])  # fmt: skip
def test_a_bad_setting_is_named(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        EagerPrediction(**arguments)
