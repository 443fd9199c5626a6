"""Other libraries wrap the same modules, before us and after us; each comes out in any order."""

import pytest
import torch
from diffusers.hooks import HookRegistry, ModelHook

import tenuto


@pytest.fixture(params=["cogvideox", "flux", "sd3", "unet", "wan"])
def family(request):
    """One family of each way to arrange blocks and text; hooks are the same in the others."""
    return request.param


TECHNIQUES = {
    "default": tenuto.DiTo(warmup=1),
    "partial": tenuto.DiTo(ratio=0.5, interval=3, warmup=1),
    "orbis": tenuto.ORBIS.paper(),
    "tomesd": tenuto.baselines.ToMeSD(),
}
each_technique = pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=list(TECHNIQUES))


class Wrapped:
    """Another library: counts calls of a module by replacing its forward."""

    def __init__(self, module):
        self.module, self.inner, self.calls = module, module.forward, 0
        self.had_own = "forward" in module.__dict__
        module.forward = self.forward

    def forward(self, *args, **kwargs):
        self.calls += 1
        return self.inner(*args, **kwargs)

    def remove(self):
        if self.had_own:
            self.module.forward = self.inner
        else:
            del self.module.__dict__["forward"]


class Counting(ModelHook):
    """Another library's hook in diffusers' own framework."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def new_forward(self, module, *args, **kwargs):
        self.calls += 1
        return self.fn_ref.original_forward(*args, **kwargs)


def shared_modules(tiny):
    """A block, an attention, and a feed-forward or what stands for it."""
    block = tiny.blocks[-1]
    feed_forward = next(
        getattr(block, name)
        for name in ("ffn", "ff", "img_mlp", "proj_out")
        if hasattr(block, name)
    )
    return [block, getattr(block, tiny.attention), feed_forward]


@each_technique
@pytest.mark.parametrize("ours_leaves_first", [True, False])
def test_wrappers_before_and_after_ours_come_out_in_any_order(loop, technique, ours_leaves_first):
    untouched = loop()
    with tenuto.accelerate(loop, technique):
        reduced = loop()
    before = [Wrapped(module) for module in shared_modules(loop.tiny)]
    handle = tenuto.accelerate(loop, technique)
    after = [Wrapped(module) for module in shared_modules(loop.tiny)]

    together = loop()
    if ours_leaves_first:
        handle.remove()
        counts = [other.calls for other in after]
        without_ours = loop()
        assert all(a.calls - c == 6 for a, c in zip(after, counts, strict=True))
        for other in after:
            other.remove()
    else:
        for other in after:
            other.remove()
        assert torch.equal(loop(), reduced)
        handle.remove()
        without_ours = loop()
    for other in before:
        other.remove()

    assert torch.equal(together, reduced)
    assert torch.equal(without_ours, untouched)
    assert torch.equal(loop(), untouched)


@each_technique
@pytest.mark.parametrize("ours_leaves_first", [True, False])
def test_a_diffusers_hook_on_top_of_ours_comes_out_in_any_order(loop, technique, ours_leaves_first):
    untouched = loop()
    handle = tenuto.accelerate(loop, technique)
    reduced = loop()
    hooks = []
    for module in shared_modules(loop.tiny):
        hooks.append(Counting())
        HookRegistry.check_if_exists_or_initialize(module).register_hook(hooks[-1], "counting")

    together = loop()
    if ours_leaves_first:
        handle.remove()
        counts = [hook.calls for hook in hooks]
        assert torch.equal(loop(), untouched)
        assert all(hook.calls - c == 6 for hook, c in zip(hooks, counts, strict=True))
    for module in shared_modules(loop.tiny):
        module._diffusers_hook.remove_hook("counting")
    if not ours_leaves_first:
        assert torch.equal(loop(), reduced)
        handle.remove()

    assert torch.equal(together, reduced)
    assert torch.equal(loop(), untouched)


def test_a_model_can_be_accelerated_again_under_a_wrapper_that_stayed(make_loop):
    loop = make_loop("wan")
    with tenuto.accelerate(loop, TECHNIQUES["partial"]):
        reduced = loop()
    handle = tenuto.accelerate(loop, TECHNIQUES["partial"])
    others = [Wrapped(module) for module in shared_modules(loop.tiny)]
    handle.remove()

    with tenuto.accelerate(loop, TECHNIQUES["partial"]):
        again = loop()

    assert torch.equal(again, reduced)
    assert all(other.calls > 0 for other in others)


@pytest.mark.parametrize("predict_at", ["blocks", "modules"])
def test_a_diffusers_cache_and_ours_work_together(make_loop, predict_at):
    from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache

    loop = make_loop("wan")
    # A threshold that nothing stays below: the cache is there and skips nothing.
    apply_first_block_cache(loop.transformer, FirstBlockCacheConfig(threshold=0.0))
    HookRegistry.check_if_exists_or_initialize(loop.transformer).invalidate_child_registries_cache()
    technique = tenuto.DiTo(ratio=0.5, warmup=1, predict_at=predict_at)
    with loop.transformer.cache_context("cond"), tenuto.accelerate(loop, technique) as handle:
        with_cache = loop()
        stats = handle.stats()

    plain = make_loop("wan")
    with tenuto.accelerate(plain, technique):
        without = plain()

    assert stats.calls_reduced > 0
    torch.testing.assert_close(with_cache, without, rtol=0, atol=1e-5)


def test_a_block_that_another_library_skips_is_not_learnt_from(make_loop):
    loop = make_loop("wan")
    technique = tenuto.DiTo(schedule=(0.0, 0.0, 1.0, 0.0, 1.0, 0.0), predict="linear")
    handle = tenuto.accelerate(loop, technique)
    first = loop.tiny.blocks[0]
    ours, calls = first.forward, []

    def skips_the_second_call(hidden_states, *args, **kwargs):
        calls.append(hidden_states)
        return hidden_states if len(calls) == 2 else ours(hidden_states, *args, **kwargs)

    first.forward = skips_the_second_call
    skipped = loop()
    stats = handle.stats()
    first.forward = ours

    assert skipped.isfinite().all()
    assert stats.calls_reduced == 2 * 3
    handle.remove()
    assert torch.equal(loop(), make_loop("wan")())
