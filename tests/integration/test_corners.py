"""The corners of the engine are the named schemes."""

import pytest
import torch
from diffusers.hooks import HookRegistry, TaylorSeerCacheConfig, apply_taylorseer_cache

import tenuto

NUM_STEPS, INTERVAL, BEFORE = 9, 2, 1
# A second difference of values of size 1 loses a few digits, in either implementation.
TOLERANCE = 1e-4


def is_dense(step):
    """The rule of diffusers' TaylorSeerCache."""
    return step < BEFORE or (step - BEFORE - 1) % INTERVAL == 0


def timesteps():
    return [1000.0 - 80 * step for step in range(NUM_STEPS)]


def taylorseer_outputs(tiny, pattern, order):
    """Outputs of each step with diffusers' cache on the modules whose names match."""
    config = TaylorSeerCacheConfig(
        cache_interval=INTERVAL,
        disable_cache_before_step=BEFORE,
        max_order=order,
        taylor_factors_dtype=torch.float32,
        cache_identifiers=[pattern],
    )
    apply_taylorseer_cache(tiny.model, config)
    registry = HookRegistry.check_if_exists_or_initialize(tiny.model)
    registry.invalidate_child_registries_cache()
    with tiny.model.cache_context("cond"):
        return [tiny(timestep) for timestep in timesteps()]


@pytest.mark.parametrize(("predict", "order"), [("hold", 0), ("linear", 1), ("quadratic", 2)])
@pytest.mark.parametrize(
    ("pattern", "scope"), [(r"blocks\.\d+\.attn1", ("self",)), (r"blocks\.\d+\.ffn", ("ffn",))]
)
def test_computing_nothing_is_taylorseer(make_tiny, pattern, scope, predict, order):
    reference = taylorseer_outputs(make_tiny("wan"), pattern, order)
    dense = [make_tiny("wan")(timestep) for timestep in timesteps()]
    technique = tenuto.DiTo(
        schedule=tuple(0.0 if is_dense(step) else 1.0 for step in range(NUM_STEPS)),
        predict=predict,
        predict_at="modules",
        scope=scope,
    )
    tiny = make_tiny("wan")

    with tenuto.accelerate(tiny.model, technique) as handle:
        outputs = [tiny(timestep) for timestep in timesteps()]
        stats = handle.stats()

    assert stats.calls_reduced == 3 * sum(not is_dense(step) for step in range(NUM_STEPS))
    for output, expected in zip(outputs, reference, strict=True):
        torch.testing.assert_close(output, expected, rtol=0, atol=TOLERANCE)
    assert not torch.allclose(reference[-2], dense[-2], atol=10 * TOLERANCE)


def test_forecasting_a_run_of_blocks_is_forecasting_what_it_adds(make_tiny):
    tiny = make_tiny("wan")
    streams = []
    tiny.blocks[0].register_forward_pre_hook(lambda module, args: streams.append(args[0]))
    after = []
    tiny.blocks[-1].register_forward_hook(lambda module, args, output: after.append(output))
    technique = tenuto.DiTo(schedule=(0.0, 0.0, 0.0, 1.0), predict="quadratic")

    with tenuto.accelerate(tiny.model, technique):
        for timestep in timesteps()[:4]:
            tiny(timestep)

    added = [end - start for start, end in zip(streams, after, strict=True)]
    torch.testing.assert_close(added[3], 2.5 * added[2] - 2 * added[1] + 0.5 * added[0])


class Outputs:
    """What a module put out, call by call."""

    def __init__(self, module):
        self.calls = []
        module.register_forward_hook(lambda module, args, output: self.calls.append(output))


@pytest.mark.parametrize("keys", ["all", "kept"])
@pytest.mark.parametrize("part", ["attn1", "ff"])
def test_hold_without_correction_is_a_token_cache(make_tiny, part, keys):
    tiny = make_tiny("dit", num_blocks=1)
    seen = Outputs(getattr(tiny.blocks[0], part))
    technique = tenuto.DiTo(
        schedule=(0.0, 0.5), predict="hold", correct=False, keys=keys, scope=("self", "ffn")
    )

    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(900.0), tiny(700.0)
        (memory,) = handle._accelerated[0].engine._memories.values()
        plan = memory.pairs[(0, "attn")].plan

    first, second = (output[0] for output in seen.calls)
    assert torch.equal(second[plan.src[0]], first[plan.src[0]])
    assert not torch.isclose(second[plan.keep[0]], first[plan.keep[0]]).all()


@pytest.mark.parametrize("part", ["attn1", "ff"])
def test_correction_without_a_forecast_is_copying(make_tiny, part):
    tiny = make_tiny("dit", num_blocks=1)
    seen = Outputs(getattr(tiny.blocks[0], part))
    technique = tenuto.DiTo(schedule=(0.0, 0.5), predict="none", scope=("self", "ffn"))

    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(900.0), tiny(700.0)
        (memory,) = handle._accelerated[0].engine._memories.values()
        plan = memory.pairs[(0, "attn")].plan

    second = seen.calls[1][0]
    assert torch.equal(second[plan.src[0]], second[plan.dst[0]])


def test_a_corrected_hold_moves_each_token_with_its_partner(make_tiny):
    tiny = make_tiny("dit", num_blocks=1)
    seen = Outputs(tiny.blocks[0].ff)
    technique = tenuto.DiTo(schedule=(0.0, 0.5), predict="hold", gain=0.5, scope=("ffn",))

    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(900.0), tiny(700.0)
        (memory,) = handle._accelerated[0].engine._memories.values()
        plan = memory.pairs[(0, "attn")].plan

    first, second = (output[0] for output in seen.calls)
    src, dst = plan.src[0], plan.dst[0]
    expected = first[src] + 0.5 * (second[dst] - first[dst])
    torch.testing.assert_close(second[src], expected)


def test_tokens_are_paired_on_the_dense_output_of_the_named_module(make_tiny):
    from tenuto.algorithms.matching import match_tokens

    guides = {"attn": "attn1", "ffn": "ff", "block": None}
    for guide, part in guides.items():
        tiny = make_tiny("dit")
        block = tiny.blocks[1]
        seen = Outputs(block if part is None else getattr(block, part))
        technique = tenuto.DiTo(schedule=(0.0, 0.5), guide=guide)
        with tenuto.accelerate(tiny.model, technique) as handle:
            tiny(900.0), tiny(700.0)
            (memory,) = handle._accelerated[0].engine._memories.values()
            plan = memory.pairs[(1, guide)].plan

        expected = match_tokens(seen.calls[0], (6, 6), (2, 2), 0.5)

        assert torch.equal(plan.src, expected.src), guide
        assert torch.equal(plan.dst, expected.dst), guide


def test_with_drift_tokens_are_paired_on_the_change_between_dense_steps(make_tiny):
    from tenuto.algorithms.matching import match_tokens

    tiny = make_tiny("dit")
    seen = Outputs(tiny.blocks[1].attn1)
    technique = tenuto.DiTo(schedule=(0.0, 0.0, 0.5), guide="attn", drift=True)

    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(900.0), tiny(800.0), tiny(700.0)
        (memory,) = handle._accelerated[0].engine._memories.values()
        plan = memory.pairs[(1, "attn")].plan

    expected = match_tokens(seen.calls[1] - seen.calls[0], (6, 6), (2, 2), 0.5)
    assert torch.equal(plan.src, expected.src)


def test_the_frequency_penalty_spreads_the_approximation(make_tiny):
    def reductions_of_tokens(penalty):
        tiny = make_tiny("wan")
        technique = tenuto.DiTo(ratio=0.5, interval=2, warmup=1, frequency_penalty=penalty)
        with tenuto.accelerate(tiny.model, technique) as handle:
            for timestep in torch.linspace(999, 10, 21):
                tiny(float(timestep))
            (memory,) = handle._accelerated[0].engine._memories.values()
            return memory.pairs[(0, "attn")].approximated()[0]

    # Counts are kept only where a penalty needs them: a vanishing one stands for none.
    without, spread = reductions_of_tokens(1e-12), reductions_of_tokens(0.5)

    assert spread.sum() == without.sum() == 10 * 16
    assert spread.max() < without.max()


@pytest.mark.bench
def test_tomesd_pairs_on_the_blocks_input_as_the_package_does(make_tiny):
    merge_module = pytest.importorskip("tomesd.merge", reason="needs the bench extra: tomesd")
    tiny = make_tiny("dit")
    inputs = []
    tiny.blocks[1].register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    with tenuto.accelerate(tiny.model, tenuto.baselines.ToMeSD(ratio=0.5)) as handle:
        tiny(900.0)
        (memory,) = handle._accelerated[0].engine._memories.values()
        plan = memory.pairs[(1, "input")].plan

    _, unmerge = merge_module.bipartite_soft_matching_random2d(
        inputs[-1], 6, 6, 2, 2, 18, no_rand=True
    )

    row_of_token = unmerge(torch.arange(18.0)[None, :, None])[..., 0]
    groups = row_of_token[:, :, None] == row_of_token[:, None, :]
    slots = plan.slots()
    assert torch.equal(groups, slots[:, :, None] == slots[:, None, :])


@pytest.mark.bench
@pytest.mark.parametrize("part", ["attn1", "ff"])
def test_tomesd_feeds_and_restores_modules_as_the_package_does(make_tiny, part):
    # Without positions inside attention the order of tokens is free, so the package's own merge
    # and unmerge around the plain module give the reference.
    merge_module = pytest.importorskip("tomesd.merge", reason="needs the bench extra: tomesd")
    tiny = make_tiny("dit", num_blocks=1)
    module = getattr(tiny.blocks[0], part)
    streams, inputs, seen = [], [], Outputs(module)
    tiny.blocks[0].register_forward_pre_hook(lambda module, args: streams.append(args[0]))
    module.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    with tenuto.accelerate(tiny.model, tenuto.baselines.ToMeSD(scope=("self", "ffn"))):
        tiny(900.0)
    output = seen.calls[-1]

    merge, unmerge = merge_module.bipartite_soft_matching_random2d(
        streams[-1], 6, 6, 2, 2, 18, no_rand=True
    )

    reference = unmerge(module(merge(inputs[-1])))
    torch.testing.assert_close(output, reference, rtol=0, atol=1e-5)


def test_a_fused_feed_forward_merges_as_its_attention_does(make_tiny):
    tiny = make_tiny("flux")
    up = tiny.blocks[2].proj_mlp
    inputs, seen = [], Outputs(up)
    up.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))

    with tenuto.accelerate(tiny.model, tenuto.baselines.ToMeSD(scope=("self", "ffn"))) as handle:
        tiny(900.0)
        (memory,) = handle._accelerated[0].engine._memories.values()
        plan = memory.pairs[(2, "input")].plan

    text, image = inputs[-1][0].split([5, tiny.num_tokens])
    groups = [
        [token, *plan.src[0][plan.dst[0] == token].tolist()] for token in plan.keep[0].tolist()
    ]
    averages = torch.stack([image[group].mean(0) for group in groups])
    torch.testing.assert_close(seen.calls[-1][0], up(torch.cat([text, averages])))


@pytest.mark.parametrize("guide", ["module", "attn", "ffn", "block"])
@pytest.mark.parametrize("scope", [("self",), ("ffn",), ("attn", "ffn")])
def test_every_guide_pairs_every_part_that_can_be_reduced(tiny, guide, scope):
    technique = tenuto.DiTo(schedule=(0.0, 0.5), guide=guide, scope=scope)

    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(900.0), tiny(700.0)
        reasons = set(handle.stats().dense_reasons)

    # Half of a fused projection cannot be reduced alone, and says so.
    fused = {"feed-forward fused with the attention: `scope` must name both"}
    assert reasons - fused == {"dense step of the schedule"}
