"""Runs that end badly, change their shape, or pause: the next one is as good as the first."""

import pytest
import torch
from tests.integration import tiny_models

import tenuto
from tenuto.errors import AlreadyAcceleratedError, NonFiniteError


@pytest.fixture(params=["cogvideox", "flux", "sd3", "unet", "wan"])
def family(request):
    """One family of each way to arrange blocks and text; hooks are the same in the others."""
    return request.param


TECHNIQUES = {
    "default": tenuto.DiTo(warmup=2),
    "partial": tenuto.DiTo(ratio=0.5, interval=3, warmup=1, keys="held", frequency_penalty=0.1),
    "tomesd": tenuto.baselines.ToMeSD(),
}
each_technique = pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=list(TECHNIQUES))


class Interrupted:
    """Raises in a module's nth call, as long as it is open."""

    def __init__(self, module, nth, error):
        self.left, self.error = nth, error
        self.hook = module.register_forward_pre_hook(self._count)

    def _count(self, module, args):
        self.left -= 1
        if self.left == 0:
            raise self.error

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.hook.remove()


def num_hooks(model):
    return sum(
        len(value)
        for module in model.modules()
        for name, value in module.__dict__.items()
        if "hooks" in name
    )


@each_technique
@pytest.mark.parametrize("nth", [1, 4, 6])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_run_after_one_that_broke_off_inside_a_block_is_as_a_first_one(
    make_loop, technique, error, nth
):
    loop = make_loop("wan")
    model = loop.transformer
    untouched, hooks_before = loop(), num_hooks(model)
    with tenuto.accelerate(loop, technique):
        fresh = loop()

    handle = tenuto.accelerate(loop, technique)
    with Interrupted(loop.tiny.blocks[1], nth, error()), pytest.raises(error):
        loop()
    again = loop()
    handle.remove()

    assert torch.equal(again, fresh)
    assert torch.equal(loop(), untouched)
    assert num_hooks(model) == hooks_before


def test_a_run_after_one_that_broke_off_between_two_calls_is_as_a_first_one(loop, monkeypatch):
    technique = TECHNIQUES["partial"]
    untouched = loop()
    with tenuto.accelerate(loop, technique):
        fresh = loop()
    handle = tenuto.accelerate(loop, technique)
    step, calls = loop.scheduler.step, []

    def breaks_off(*args):
        calls.append(args)
        if len(calls) == 3:
            raise RuntimeError("disk full")
        return step(*args)

    with monkeypatch.context() as patch:
        patch.setattr(loop.scheduler, "step", breaks_off)
        with pytest.raises(RuntimeError, match="disk full"):
            loop()
    again = loop()
    handle.remove()

    assert torch.equal(again, fresh)
    assert torch.equal(loop(), untouched)


def test_a_broken_call_is_not_in_the_counts_of_the_next(make_loop):
    loop = make_loop("wan")
    technique = tenuto.DiTo(ratio=0.5, interval=2, warmup=1)
    with tenuto.accelerate(loop, technique) as handle:
        loop()
        expected = handle.stats()
        handle.reset()
        with Interrupted(loop.tiny.blocks[2], 2, RuntimeError()), pytest.raises(RuntimeError):
            loop()
        finished = handle.stats()
        loop()
        total = handle.stats()

    assert total.macs_done - finished.macs_done == expected.macs_done
    assert total.macs_dense - finished.macs_dense == expected.macs_dense


RUNS = [
    {"latents": (4, 2, 12, 8)},
    {"latents": (4, 4, 8, 8)},
    {"batch": 2},
    {"guidance": "split"},
    {"guidance": "none"},
    {"num_steps": 4},
    {"num_steps": 9},
    {"seed": 1},
]


@each_technique
def test_runs_of_any_shape_may_follow_each_other(make_loop, technique):
    loop = make_loop("wan")
    expected = []
    for run in RUNS:
        with tenuto.accelerate(loop, technique):
            expected.append(loop(**run))

    with tenuto.accelerate(loop, technique):
        outputs = [loop(**run) for run in RUNS]

    for run, output, fresh in zip(RUNS, outputs, expected, strict=True):
        assert torch.equal(output, fresh), run


def test_guidance_branches_may_have_texts_of_different_lengths(make_loop):
    loop = make_loop("wan")
    whole = loop.tiny.inputs

    def shorter_without_text(latents, timestep, text):
        arguments = whole(latents, timestep, text)
        length = 5 if text else 2
        return {
            **arguments,
            "encoder_hidden_states": arguments["encoder_hidden_states"][:, :length],
        }

    loop.tiny.inputs = shorter_without_text
    with tenuto.accelerate(loop, tenuto.DiTo(ratio=0.5, warmup=2)) as handle:
        first = loop(guidance="split")
        stats = handle.stats()
        second = loop(guidance="split")

    # Steps 2 and 4 of 6 are reduced, in both branches.
    assert stats.calls_reduced == 2 * 2 * 9
    assert set(stats.dense_reasons) == {"dense step of the schedule"}
    assert torch.equal(first, second)


@pytest.mark.parametrize("family", tiny_models.NAMES)
def test_another_resolution_works_in_every_family(loop):
    # Video may change one side; DiT takes squares only, as do the ids of our packed images.
    larger = {2: (64, loop.tiny.latents[1]), 3: (4, 16, 16), 4: (4, 2, 8, 12)}[
        len(loop.tiny.latents)
    ]
    if loop.tiny.latents == (2, 4, 8, 8):  # frames before channels
        larger = (2, 4, 8, 12)
    technique = TECHNIQUES["partial"]
    untouched = loop(latents=larger)
    with tenuto.accelerate(loop, technique):
        fresh = loop(latents=larger)

    with tenuto.accelerate(loop, technique):
        loop()
        after = loop(latents=larger)

    assert torch.equal(after, fresh)
    assert not torch.equal(after, untouched)


def test_a_changed_scheduler_begins_anew(make_loop):
    from diffusers import FlowMatchHeunDiscreteScheduler

    loop = make_loop("dit")
    technique = TECHNIQUES["partial"]
    first = loop.scheduler
    with tenuto.accelerate(loop, technique) as handle:
        loop()
        loop.scheduler = FlowMatchHeunDiscreteScheduler()
        heun = loop(num_steps=4)
        calls = handle.stats()
        handle.reset()
        assert torch.equal(loop(num_steps=4), heun)
        loop.scheduler = first

    assert calls.calls_reduced > 0


def test_pausing_runs_the_original_and_then_goes_on(loop):
    untouched = loop()
    with tenuto.accelerate(loop, TECHNIQUES["partial"]) as handle:
        fresh = loop()
        before = handle.stats()
        with handle.pause():
            paused = loop()
        during = handle.stats()
        after = loop()

    assert torch.equal(paused, untouched)
    assert during == before
    assert torch.equal(after, fresh)


def test_reset_sets_counts_to_zero_and_the_next_run_is_a_first_one(make_loop):
    loop = make_loop("sd3")
    with tenuto.accelerate(loop, TECHNIQUES["default"]) as handle:
        fresh = loop()
        first = handle.stats()
        handle.reset()
        zero = handle.stats()
        again = loop()
        second = handle.stats()

    assert torch.equal(again, fresh)
    assert (zero.macs_dense, zero.calls_reduced, zero.calls_dense) == (0, 0, 0)
    assert (second.macs_done, second.macs_dense) == (first.macs_done, first.macs_dense)
    assert second.dense_reasons == first.dense_reasons


def test_removing_twice_is_removing_once(make_loop):
    loop = make_loop("dit")
    untouched = loop()
    handle = tenuto.accelerate(loop, TECHNIQUES["default"])

    handle.remove()
    with tenuto.accelerate(loop, TECHNIQUES["default"]):
        handle.remove()
        still_reduced = loop()
        with pytest.raises(AlreadyAcceleratedError):
            tenuto.accelerate(loop, TECHNIQUES["default"])

    assert not torch.equal(still_reduced, untouched)


def test_an_error_inside_the_context_manager_removes_the_hooks(make_loop):
    loop = make_loop("dit")
    untouched = loop()

    with (
        pytest.raises(KeyboardInterrupt),
        Interrupted(loop.tiny.blocks[0], 4, KeyboardInterrupt()),
        tenuto.accelerate(loop, TECHNIQUES["default"]),
    ):
        loop()

    assert torch.equal(loop(), untouched)


class Poisoned:
    """Puts NaN into what the first block's attention puts out, from the nth call on."""

    def __init__(self, tiny, nth):
        self.calls, self.nth = 0, nth
        self.hook = tiny.blocks[0].attn1.register_forward_hook(self._poison)

    def _poison(self, module, args, output):
        self.calls += 1
        return output * torch.nan if self.calls >= self.nth else output

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.hook.remove()


@pytest.mark.parametrize("name", ["wan", "dit"])
def test_nan_in_a_reduced_run_raises_and_the_pipeline_is_whole_afterwards(make_loop, name):
    loop = make_loop(name)
    technique = tenuto.DiTo(ratio=0.5, warmup=1)
    untouched = loop()
    with tenuto.accelerate(loop, technique):
        fresh = loop()

    handle = tenuto.accelerate(loop, technique)
    with (
        Poisoned(loop.tiny, 3),
        pytest.raises(NonFiniteError, match=r"^the output of step 2 must be finite, got NaN"),
    ):
        loop()
    again = loop()
    handle.remove()

    assert torch.equal(again, fresh)
    assert torch.equal(loop(), untouched)


def test_nan_without_strict_goes_on_densely_and_is_counted(make_loop):
    loop = make_loop("wan")
    technique = tenuto.DiTo(ratio=0.5, warmup=1)

    with tenuto.accelerate(loop, technique, strict=False) as handle:
        with Poisoned(loop.tiny, 3):
            loop()
        stats = handle.stats()
        recovered = loop()

    assert stats.dense_reasons["non-finite activations"] == 3 * 9
    assert recovered.isfinite().all()


def test_nan_of_the_model_itself_does_not_blame_tenuto(make_loop):
    loop = make_loop("wan")

    with tenuto.accelerate(loop, tenuto.DiTo(ratio=0.5, warmup=1)) as handle:
        loop()
        reduced_before = handle.stats().calls_reduced
        with Poisoned(loop.tiny, 1):
            output = loop()

    assert output.isnan().any()
    assert handle.stats().calls_reduced == reduced_before
