import torch
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.algorithms.restore import gather_rows, restore_rows

SEEDS = st.integers(0, 2**31 - 1)


def flat(rows, num_rows):
    return (rows + torch.arange(len(rows))[:, None] * num_rows).flatten()


def example(seed, num_tokens=7, num_kept=4):
    """A random plan for two samples, its kept outputs and a forecast."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(num_tokens, generator=generator) for _ in range(2)])
    keep, src = order[:, :num_kept], order[:, num_kept:]
    dst = keep.gather(1, torch.randint(num_kept, src.shape, generator=generator))
    kept = torch.randn(2, num_kept, 3, generator=generator)
    forecast = torch.randn(2, num_tokens, 3, generator=generator)
    return MatchPlan(keep, src, dst), kept, forecast


def restored(plan, kept, forecast, gain):
    rows = flat(plan.keep, plan.num_tokens), flat(plan.slots(), plan.keep.shape[1])
    return restore_rows(kept, *rows, forecast, gain)


def slow_restored(plan, kept, forecast, gain):
    """The formula of the module, token by token."""
    output = torch.full((2, plan.num_tokens, 3), torch.nan)
    for sample in range(2):
        keep = plan.keep[sample].tolist()
        for row, token in enumerate(keep):
            output[sample, token] = kept[sample, row]
        pairs = zip(plan.src[sample].tolist(), plan.dst[sample].tolist(), strict=True)
        for token, partner in pairs:
            innovation = kept[sample, keep.index(partner)] - forecast[sample, partner]
            output[sample, token] = forecast[sample, token] + gain * innovation
    return output


@given(SEEDS, st.floats(0, 1))
def test_restored_tokens_follow_the_formula(seed, gain):
    plan, kept, forecast = example(seed)

    output = restored(plan, kept, forecast, gain)

    torch.testing.assert_close(output, slow_restored(plan, kept, forecast, gain))


@given(SEEDS)
def test_without_a_forecast_the_partner_is_copied(seed):
    plan, kept, _ = example(seed)

    output = restored(plan, kept, None, 1.0)

    assert torch.equal(output, slow_restored(plan, kept, torch.zeros(2, 7, 3), 1.0))


@given(SEEDS)
def test_a_forecast_without_correction_is_a_token_cache(seed):
    plan, kept, forecast = example(seed)

    output = restored(plan, kept, forecast, 0.0)

    assert torch.equal(output, slow_restored(plan, kept, forecast, 0.0))


@given(SEEDS, st.sampled_from([0.0, 0.3, 1.0]), st.booleans())
def test_computed_tokens_come_back_exactly(seed, gain, has_forecast):
    plan, kept, forecast = example(seed)

    output = restored(plan, kept, forecast if has_forecast else None, gain)

    assert torch.equal(gather_rows(output, flat(plan.keep, 7)), kept)


@given(SEEDS, st.sampled_from([0.0, 1.0]))
def test_restoring_writes_neither_to_the_forecast_nor_to_the_outputs(seed, gain):
    plan, kept, forecast = example(seed)
    before = kept.clone(), forecast.clone()

    restored(plan, kept, forecast, gain)

    assert torch.equal(kept, before[0])
    assert torch.equal(forecast, before[1])


def test_a_forecast_may_be_a_slice_of_a_longer_sequence():
    plan, kept, _ = example(0)
    sequence = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(1))
    forecast = sequence[:, 3:]

    for gain in (0.0, 1.0):
        output = restored(plan, kept, forecast, gain)
        torch.testing.assert_close(output, slow_restored(plan, kept, forecast, gain))


@given(SEEDS)
def test_a_perfect_forecast_needs_no_correction(seed):
    plan, _, forecast = example(seed)
    kept = gather_rows(forecast, flat(plan.keep, 7))

    assert torch.equal(restored(plan, kept, forecast, 1.0), forecast)


def test_gathering_takes_rows_of_each_sample():
    tokens = torch.arange(8.0).reshape(2, 4, 1)

    gathered = gather_rows(tokens, torch.tensor([3, 0, 4, 5]))

    assert gathered.flatten().tolist() == [3, 0, 4, 5]
