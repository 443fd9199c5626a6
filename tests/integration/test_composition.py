"""Beside what else people switch on: any order of coming and going, exact when all is off."""

from threading import Thread
from types import SimpleNamespace

import pytest
import torch
from diffusers import (
    FirstBlockCacheConfig,
    FlowMatchHeunDiscreteScheduler,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)
from tests.integration.tiny_models import batched

import tenuto
from tenuto.integration.foreign_caches import ANSWERED

PARTIAL = tenuto.DiTo(ratio=0.5, warmup=1, interval=3, scope=("attn", "ffn"))
FORECAST = tenuto.DiTo(warmup=1)
each_technique = pytest.mark.parametrize("technique", [PARTIAL, FORECAST], ids=["part", "forecast"])
either_order = pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "theirs"])
either_leaves = pytest.mark.parametrize("ours_leaves", [True, False], ids=["we go", "they go"])
each_kind = pytest.mark.parametrize(
    ("name", "technique"),
    [("hunyuan", PARTIAL), ("wan", FORECAST)],
    ids=["hunyuan part", "wan forecast"],
)

CACHES = {
    "first block": lambda model: FirstBlockCacheConfig(threshold=0.3),
    "taylorseer": lambda model: TaylorSeerCacheConfig(
        cache_interval=2, disable_cache_before_step=2, taylor_factors_dtype=torch.float32
    ),
    "magcache": lambda model: MagCacheConfig(
        threshold=0.5,
        max_skip_steps=1,
        retention_ratio=0.5,
        num_inference_steps=6,
        mag_ratios=[1.0] * 6,
    ),
    "pab": lambda model: PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        spatial_attention_timestep_skip_range=(100, 950),
        current_timestep_callback=lambda: model.now,
        spatial_attention_block_identifiers=(r"blocks.*attn",),
    ),
}


def note_timestep(model, args, kwargs):
    model.now = float(kwargs["timestep"].max())


def run(loop, **arguments):
    """A run as a pipeline does it: with a cache context, and hooks reset at its end."""
    with loop.transformer.cache_context("cond_uncond"):
        output = loop(**arguments)
    loop.transformer._reset_stateful_cache()
    return output


@pytest.mark.parametrize("cache", CACHES.values(), ids=list(CACHES))
@each_kind
@either_order
@either_leaves
def test_a_cache_of_diffusers_comes_and_goes_in_any_order(
    make_loop, name, cache, technique, ours_first, ours_leaves
):
    loop = make_loop(name)
    model = loop.transformer
    model.register_forward_pre_hook(note_timestep, with_kwargs=True)
    untouched = loop()
    model.enable_cache(cache(model))
    cached = run(loop)
    model.disable_cache()

    handle = tenuto.accelerate(loop, technique) if ours_first else None
    model.enable_cache(cache(model))
    handle = handle or tenuto.accelerate(loop, technique)
    together, again = run(loop), run(loop)
    stats = handle.stats()
    if ours_leaves:
        handle.remove()
        assert torch.equal(run(loop), cached)
        model.disable_cache()
    else:
        model.disable_cache()
        with_ours = loop()
        handle.remove()
        with tenuto.accelerate(loop, technique):
            assert torch.equal(loop(), with_ours)

    assert torch.equal(loop(), untouched)
    assert torch.equal(together, again)
    assert not torch.equal(together, cached)
    assert together.isfinite().all()
    assert stats.calls_reduced > 0


def test_an_attention_that_another_cache_answers_is_counted_and_its_answer_taken(make_loop):
    loop = make_loop("wan")
    model = loop.transformer
    model.register_forward_pre_hook(note_timestep, with_kwargs=True)
    model.enable_cache(CACHES["pab"](model))

    with tenuto.accelerate(loop, PARTIAL) as handle:
        run(loop)
        stats = handle.stats()

    assert stats.dense_reasons[ANSWERED] == 3


def test_an_attention_whose_last_step_is_elsewhere_is_not_reduced_under_a_cache(make_loop):
    loop = make_loop("hunyuan")
    loop.transformer.enable_cache(CACHES["taylorseer"](loop.transformer))

    with tenuto.accelerate(loop, PARTIAL) as handle:
        run(loop)
        stats = handle.stats()

    reason = "attention without an output projection, cached by another library"
    # Two single blocks, their attention and projection, at the four reduced steps of six.
    assert stats.dense_reasons[reason] + stats.dense_reasons.get(ANSWERED, 0) >= 2 * 4


@each_technique
@pytest.mark.parametrize("leaves", [True, False], ids=["hook", "everything"])
def test_a_wrapper_that_was_dropped_is_put_back(make_loop, technique, leaves):
    from diffusers.hooks import HookRegistry, ModelHook

    class Passing(ModelHook):
        def new_forward(self, module, *args, **kwargs):
            return self.fn_ref.original_forward(*args, **kwargs)

    loop = make_loop("sd3")
    untouched = loop()
    with tenuto.accelerate(loop, technique):
        expected = loop()
    modules = [m for block in loop.tiny.blocks for m in (block, block.attn, block.ff)]
    for module in modules:
        HookRegistry.check_if_exists_or_initialize(module).register_hook(Passing(), "passing")
    handle = tenuto.accelerate(loop, technique)
    for module in modules:
        module._diffusers_hook.remove_hook("passing")
        if not leaves:
            module.__dict__.pop("forward", None)

    made = loop()
    handle.remove()

    assert torch.equal(made, expected)
    assert torch.equal(loop(), untouched)


@pytest.mark.bench
@each_technique
@either_order
@either_leaves
def test_cache_dit_comes_and_goes_in_any_order(make_loop, technique, ours_first, ours_leaves):
    cache_dit = pytest.importorskip("cache_dit")
    loop = make_loop("wan", 4)
    model = loop.transformer
    untouched = loop(8, guidance="none")

    def enable():
        adapter = cache_dit.BlockAdapter(
            transformer=model,
            blocks=[model.blocks],
            forward_pattern=[cache_dit.ForwardPattern.Pattern_2],
            has_separate_cfg=False,
        )
        config = cache_dit.DBCacheConfig(
            Fn_compute_blocks=1,
            Bn_compute_blocks=0,
            max_warmup_steps=2,
            residual_diff_threshold=0.3,
            num_inference_steps=8,
        )
        cache_dit.enable_cache(adapter, cache_config=config)

    handle = tenuto.accelerate(loop, technique) if ours_first else None
    enable()
    handle = handle or tenuto.accelerate(loop, technique)
    together = loop(8, guidance="none")
    stats = handle.stats()
    leave = [handle.remove, lambda: cache_dit.disable_cache(model)]
    for each in leave if ours_leaves else reversed(leave):
        each()

    assert torch.equal(loop(8, guidance="none"), untouched)
    assert together.isfinite().all()
    assert stats.calls_reduced > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flux", "wan"])
@pytest.mark.parametrize("regional", [False, True], ids=["whole", "regional"])
@each_technique
@either_order
def test_compiled_models_give_the_same_bits_and_are_not_compiled_at_every_step(
    make_loop, name, regional, technique, ours_first
):
    from torch._dynamo.utils import counters

    torch.compiler.reset()
    counters.clear()
    loop = make_loop(name)
    with tenuto.accelerate(loop, technique):
        expected = loop(4), loop(8)

    def compile_it():
        for module in loop.tiny.blocks if regional else [loop.transformer]:
            module.compile(backend="eager")

    handle = tenuto.accelerate(loop, technique) if ours_first else None
    compile_it()
    handle = handle or tenuto.accelerate(loop, technique)
    few = loop(4)
    num_graphs = counters["stats"]["unique_graphs"]
    many = loop(8)
    stats = handle.stats()
    handle.remove()

    assert torch.equal(few, expected[0])
    assert torch.equal(many, expected[1])
    assert stats.calls_reduced > 0
    assert counters["stats"]["unique_graphs"] == num_graphs


def test_two_pipelines_at_once_do_not_disturb_each_other(make_loop):
    loops = [make_loop("wan"), make_loop("unet")]
    alone = []
    for loop in loops:
        with tenuto.accelerate(loop, PARTIAL):
            alone.append(loop())

    with tenuto.accelerate(loops[0], PARTIAL) as one, tenuto.accelerate(loops[1], PARTIAL) as two:
        seen = []
        # The second pipeline makes a whole run between two steps of the first.
        hook = loops[0].transformer.register_forward_hook(lambda *_: seen.append(loops[1]()))
        first = loops[0]()
        hook.remove()
        both = one.stats().calls_reduced, two.stats().calls_reduced

    assert torch.equal(first, alone[0])
    assert all(torch.equal(each, alone[1]) for each in seen)
    assert min(both) > 0


def test_two_threads_with_a_pipeline_each_give_what_one_gives(make_loop):
    loops = [make_loop("wan"), make_loop("flux")]
    made = [None, None]

    def work(index):
        with torch.no_grad(), tenuto.accelerate(loops[index], PARTIAL):
            made[index] = [loops[index](seed=seed) for seed in range(3)]

    threads = [Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for loop, outputs in zip(loops, made, strict=True):
        with tenuto.accelerate(loop, PARTIAL):
            assert all(torch.equal(loop(seed=seed), outputs[seed]) for seed in range(3))


@each_technique
def test_a_batch_of_several_prompts_equals_one_by_one(loop, technique):
    tiny = loop.tiny
    texts = (0, 1)

    def call(timestep, which):
        parts = [tiny.inputs(tiny.noise(1, seed=text), timestep, text) for text in which]
        inputs = parts[0] if len(parts) == 1 else batched(*parts)
        return tiny.model(**inputs)[0]

    steps = (900.0, 700.0, 500.0)
    with tenuto.accelerate(tiny.model, technique):
        both = [call(timestep, texts) for timestep in steps][-1]
        single = [[call(timestep, (text,)) for timestep in steps][-1] for text in texts]

    torch.testing.assert_close(both, torch.cat(single), rtol=0, atol=1e-4)


@each_technique
def test_a_run_that_starts_in_the_middle_is_the_same_twice(make_loop, technique):
    loop = make_loop("sd3")

    def image_to_image(strength_steps):
        sample = loop.tiny.noise()
        loop.scheduler.set_timesteps(8)
        timesteps = loop.scheduler.timesteps[-strength_steps:]
        loop.scheduler.set_begin_index(8 - strength_steps)
        for timestep in timesteps:
            velocity = loop._velocity(sample, float(timestep), "batched")
            sample = loop.scheduler.step(velocity, timestep, sample).prev_sample
        return sample

    untouched = image_to_image(5)
    with tenuto.accelerate(loop, technique) as handle:
        whole = loop(8)
        middle, again = image_to_image(5), image_to_image(5)
        stats = handle.stats()
        loop.scheduler.set_begin_index(0)
        assert torch.equal(loop(8), whole)

    assert torch.equal(middle, again)
    assert not torch.equal(middle, untouched)
    assert stats.calls_reduced > 0


@pytest.mark.parametrize("num_steps", [1, 2, 4])
def test_few_steps_run_and_the_first_is_dense(make_loop, num_steps):
    loop = make_loop("flux")
    untouched = loop(num_steps)

    with tenuto.accelerate(loop, FORECAST) as handle:
        made = loop(num_steps)
        reduced = handle.stats().calls_reduced

    assert torch.equal(made, untouched) == (reduced == 0)
    assert (reduced > 0) == (num_steps > 1)


@pytest.mark.parametrize("guidance", ["batched", "split", "none"])
def test_schedulers_that_repeat_a_timestep_are_followed(make_loop, guidance):
    loop = make_loop("wan")
    loop.scheduler = FlowMatchHeunDiscreteScheduler()
    untouched = loop(guidance=guidance)

    with tenuto.accelerate(loop, PARTIAL) as handle:
        made, again = loop(guidance=guidance), loop(guidance=guidance)
        stats = handle.stats()
    num_calls = 2 * len(loop.scheduler.timesteps) * (2 if guidance == "split" else 1)

    assert torch.equal(made, again)
    assert not torch.equal(made, untouched)
    assert stats.calls_reduced + stats.calls_dense == num_calls * 3 * 3


def test_two_transformers_that_share_the_steps_have_a_state_each(make_loop):
    high, low = make_loop("wan"), make_loop("wan")
    pipe = SimpleNamespace(
        transformer=high.transformer, transformer_2=low.transformer, scheduler=high.scheduler
    )

    def generate():
        sample = high.tiny.noise()
        pipe.scheduler.set_timesteps(8)
        for timestep in pipe.scheduler.timesteps:
            expert = high if float(timestep) >= 600 else low
            velocity = expert._velocity(sample, float(timestep), "split")
            sample = pipe.scheduler.step(velocity, timestep, sample).prev_sample
        return sample

    untouched = generate()
    with tenuto.accelerate(pipe, PARTIAL) as handle:
        made, again = generate(), generate()
        parts = [each.engine.counters.calls_reduced for each in handle._accelerated]

    assert torch.equal(made, again)
    assert min(parts) > 0
    assert torch.equal(generate(), untouched)


def offload_by_accelerate(model):
    import accelerate

    accelerate.cpu_offload(model, execution_device=torch.device("cpu"))
    return lambda: accelerate.hooks.remove_hook_from_module(model, recurse=True)


def offload_by_groups(model):
    model.enable_group_offload(
        onload_device=torch.device("cpu"),
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
    )
    return lambda: None


@pytest.mark.parametrize("offload", [offload_by_accelerate, offload_by_groups])
@each_kind
@either_order
def test_offload_hooks_before_and_after_ours(make_loop, name, offload, technique, ours_first):
    loop = make_loop(name)
    untouched = loop()
    with tenuto.accelerate(loop, technique):
        expected = loop()

    handle = tenuto.accelerate(loop, technique) if ours_first else None
    undo = offload(loop.transformer)
    handle = handle or tenuto.accelerate(loop, technique)
    offloaded = loop()
    handle.remove()
    without_ours = loop()
    undo()

    assert torch.equal(offloaded, expected)
    assert torch.equal(without_ours, untouched)
    assert torch.equal(loop(), untouched)
