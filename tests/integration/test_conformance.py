"""What must hold for every family: the computed rows are the model's own rows."""

import pytest
import torch
import torch.nn.functional as F
from tests.integration.conftest import Loop
from torch.overrides import TorchFunctionMode

import tenuto
from tenuto.algorithms.match_plan import MatchPlan
from tenuto.integration.memory import Pairs
from tenuto.integration.rows import PlanRows

# float32, three blocks, activations of size 1: a few hundred roundings of 6e-8.
TOLERANCE = 1e-5
STEPS = (900.0, 700.0)
TEXT_FIRST = {"cogvideox", "flux", "qwen"}


def second_step(tiny, technique, batch=2):
    """Two steps, the second one reduced; return its output and the handle's statistics."""
    with tenuto.accelerate(tiny.model, technique) as handle:
        for timestep in STEPS:
            output = tiny(timestep, batch)
        return output, handle.stats()


@pytest.mark.parametrize("predict", ["none", "linear"])
@pytest.mark.parametrize("keys", ["kept", "held", "all"])
@pytest.mark.parametrize("scope", [("self",), ("attn", "ffn")])
def test_computing_all_tokens_in_another_order_changes_nothing(
    tiny, monkeypatch, keys, predict, scope
):
    def any_order(pairs, num_reduced, step_index):
        keep = torch.stack([torch.randperm(pairs.plan.num_tokens) for _ in range(2)])
        return PlanRows(MatchPlan(keep, keep[:, :0], keep[:, :0]))

    monkeypatch.setattr(Pairs, "rows", any_order)
    dense = [tiny(timestep, 2) for timestep in STEPS][-1]
    technique = tenuto.DiTo(schedule=(0.0, 0.5), keys=keys, predict=predict, scope=scope)

    output, stats = second_step(tiny, technique)

    assert stats.calls_reduced >= len(tiny.blocks)
    torch.testing.assert_close(output, dense, rtol=0, atol=TOLERANCE)


class Watched:
    """Inputs and outputs of a module's last call, as its caller and its callees see them."""

    def __init__(self, module):
        self.module, self.output, self.inputs = module, None, None
        module.register_forward_pre_hook(self._look_in, with_kwargs=True)
        module.register_forward_hook(self._look_out)

    def _look_in(self, module, args, kwargs):
        self.inputs = args, kwargs

    def _look_out(self, module, args, output):
        self.output = output


def image_and_text(output, num_tokens):
    """Image rows and text rows of what an attention or block puts out; Flux has text first."""
    if isinstance(output, tuple):
        image, text = sorted(output, key=lambda rows: rows.shape[1] != num_tokens)
        return image, text
    num_text = output.shape[1] - num_tokens
    return output[:, num_text:], output[:, :num_text]


def plan_of(handle, block_index):
    """The pairs that the second step used in one block."""
    (memory,) = handle._accelerated[0].engine._memories.values()
    return memory.pairs[(block_index, "attn")].plan


def rows_of(tokens, index):
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))


@pytest.mark.parametrize("block_index", [0, 1])
@pytest.mark.parametrize("predict", ["none", "linear"])
def test_tokens_that_are_computed_come_out_as_if_nothing_were_reduced(tiny, block_index, predict):
    block = Watched(tiny.blocks[block_index])
    num_tokens = tiny.tokens_of(block_index)
    for timestep in STEPS:
        tiny(timestep, 2)
    dense_image, dense_text = image_and_text(block.output, num_tokens)
    ratios = tuple(0.5 if index == block_index else 0.0 for index in range(3))
    technique = tenuto.DiTo(schedule=(0.0, ratios), keys="all", predict=predict)

    with tenuto.accelerate(tiny.model, technique) as handle:
        for timestep in STEPS:
            tiny(timestep, 2)
        plan = plan_of(handle, block_index)

    image, text = image_and_text(block.output, num_tokens)
    assert plan.src.shape[1] == num_tokens // 2
    kept, kept_densely = rows_of(image, plan.keep), rows_of(dense_image, plan.keep)
    torch.testing.assert_close(kept, kept_densely, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(text, dense_text, rtol=0, atol=TOLERANCE)
    assert not torch.allclose(rows_of(image, plan.src), rows_of(dense_image, plan.src), atol=1e-3)


class MaskedKeys(TorchFunctionMode):
    """Attend to some image keys only, by a mask of minus infinity on the others."""

    def __init__(self, is_seen, text_first):
        super().__init__()
        self.is_seen, self.text_first = is_seen, text_first  # (batch, image keys)
        self.num_calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is F.scaled_dot_product_attention:
            names = ("query", "key", "value", "attn_mask")
            kwargs = {**dict(zip(names, args, strict=False)), **(kwargs or {})}
            args, (batch, _, num_keys, _) = (), kwargs["key"].shape
            is_seen = self.is_seen
            if batch < len(is_seen):  # Mochi: sample by sample
                is_seen = is_seen[self.num_calls][None]
            self.num_calls += 1
            all_text = torch.ones(len(is_seen), num_keys - is_seen.shape[1], dtype=torch.bool)
            parts = [all_text, is_seen] if self.text_first else [is_seen, all_text]
            mask = torch.cat(parts, 1)[:, None, None, :]
            given = kwargs.get("attn_mask")
            kwargs["attn_mask"] = mask if given is None else mask & given
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("block_index", [0, 2])
def test_kept_keys_equal_an_attention_that_masks_the_dropped_ones(tiny, family, block_index):
    attention = Watched(getattr(tiny.blocks[block_index], tiny.attention))
    num_tokens = tiny.tokens_of(block_index)
    ratios = tuple(0.5 if index == block_index else 0.0 for index in range(3))
    technique = tenuto.DiTo(schedule=(0.0, ratios), keys="kept", predict="none", scope=("self",))
    with tenuto.accelerate(tiny.model, technique) as handle:
        for timestep in STEPS:
            tiny(timestep, 2)
        plan = plan_of(handle, block_index)
    args, kwargs = attention.inputs
    image, text = image_and_text(attention.output, num_tokens)

    is_seen = torch.zeros(2, num_tokens, dtype=torch.bool).scatter_(1, plan.keep, True)
    with MaskedKeys(is_seen, family in TEXT_FIRST):
        reference = attention.module(*args, **kwargs)

    image_reference, text_reference = image_and_text(reference, num_tokens)
    restored = rows_of(image_reference, plan.keep)
    torch.testing.assert_close(rows_of(image, plan.keep), restored, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(text, text_reference, rtol=0, atol=TOLERANCE)
    assert torch.equal(rows_of(image, plan.src), rows_of(image, plan.dst))


def test_held_keys_are_those_of_the_last_dense_step(make_tiny):
    tiny = make_tiny("dit", num_blocks=1)
    attention = tiny.blocks[0].attn1
    seen = Watched(attention)
    keys = Watched(attention.to_k)
    values = Watched(attention.to_v)
    # A token that is computed in the second step and reduced in the third holds the first's.
    technique = tenuto.DiTo(schedule=(0.0, 0.25, 0.5), keys="held", predict="none", scope=("self",))
    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(STEPS[0])
        held = keys.output.clone(), values.output.clone()
        tiny(STEPS[1])
        tiny(500.0)
        plan = plan_of(handle, 0)
        image = seen.output
    stream = seen.inputs[0][0] if seen.inputs[0] else seen.inputs[1]["hidden_states"]

    query, fresh_key, fresh_value = (
        layer(stream) for layer in (attention.to_q, attention.to_k, attention.to_v)
    )
    is_kept = torch.zeros(1, tiny.num_tokens, 1, dtype=torch.bool)
    is_kept.scatter_(1, plan.keep[..., None], True)
    key = torch.where(is_kept, fresh_key, held[0])
    value = torch.where(is_kept, fresh_value, held[1])
    heads = [x.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for x in (query, key, value)]
    product = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
    expected = rows_of(attention.to_out[0](product), plan.keep)
    torch.testing.assert_close(rows_of(image, plan.keep), expected, rtol=0, atol=TOLERANCE)


TECHNIQUES = {
    "paper": tenuto.DiTo.paper(),
    "default": tenuto.DiTo(),
    "modules": tenuto.DiTo(predict="quadratic", predict_at="modules", warmup=1),
    "partial": tenuto.DiTo(ratio=0.5, interval=3, warmup=1),
    "held": tenuto.DiTo(ratio=0.5, keys="held", predict="hold", correct=False, warmup=1),
    "drift": tenuto.DiTo(ratio=0.5, guide="block", drift=True, warmup=2),
    "mixed": tenuto.DiTo(schedule=(0.0, 0.0, (0.5, 1.0, 1.0), 0.0, 1.0, (0.0, 0.25, 1.0))),
    "int8": tenuto.DiTo(ratio=0.5, interval=2, history_bits=8, warmup=1),
    "orbis": tenuto.ORBIS.paper(),
    "orbis, loss": tenuto.ORBIS(loss_threshold=0.5, refresh=2, bits=4, warmup=1),
    "tomesd": tenuto.baselines.ToMeSD(),
    "tomesd everywhere": tenuto.baselines.ToMeSD(scope=("attn", "ffn")),
    "tofu": tenuto.baselines.ToFu(scope=("self", "ffn")),
    "sito": tenuto.baselines.SiTo(),
    "toma": tenuto.baselines.ToMA(scope=("attn", "ffn")),
    "asymrnr": tenuto.baselines.AsymRnR(query_ratio=0.5, key_ratio=0.3),
    "duca style": tenuto.baselines.duca_style(interval=3),
    "resca style": tenuto.baselines.resca_style(partners=2),
}
each_technique = pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=list(TECHNIQUES))


@each_technique
def test_the_same_seed_gives_the_same_bits(loop, technique):
    with tenuto.accelerate(loop, technique) as handle:
        first, second = loop(), loop()
        stats = handle.stats()

    assert stats.calls_reduced > 0
    assert torch.equal(first, second)


@each_technique
def test_removal_restores_every_bit_and_leaves_nothing_behind(loop, technique):
    def traces():
        return {
            (name, attribute): len(value)
            for name, module in loop.tiny.model.named_modules()
            for attribute, value in module.__dict__.items()
            if "hooks" in attribute
        } | {
            (name, "attributes"): len(module.__dict__)
            for name, module in loop.tiny.model.named_modules()
        }

    untouched, before = loop(), traces()

    handle = tenuto.accelerate(loop, technique)
    reduced = loop()
    handle.remove()

    assert not torch.equal(reduced, untouched)
    assert torch.equal(loop(), untouched)
    assert traces() == before


@pytest.mark.parametrize(
    "technique",
    [
        tenuto.DiTo.neutral(),
        tenuto.DiTo(ratio=0.0, predict="none", keys="kept", guide="block", drift=True),
        tenuto.DiTo(ratio=0.5, interval=1),
        tenuto.DiTo(interval=1),
        tenuto.DiTo(schedule=(0.0,) * 6),
        tenuto.DiTo(schedule=()),
        tenuto.ORBIS.neutral(),
        tenuto.ORBIS(refresh=1),
        tenuto.baselines.ToMeSD.neutral(),
        tenuto.baselines.ToFu.neutral(),
        tenuto.baselines.SiTo.neutral(),
        tenuto.baselines.ToMA.neutral(),
        tenuto.baselines.AsymRnR.neutral(),
    ],
    ids=[
        *("neutral", "ratio 0", "interval 1", "interval 1, ratio 1", "zeros", "no steps"),
        *("orbis", "orbis, refresh 1", "tomesd", "tofu", "sito", "toma", "asymrnr"),
    ],
)
@pytest.mark.parametrize("guidance", ["batched", "split"])
def test_a_setting_that_reduces_nothing_changes_no_bit(loop, technique, guidance):
    untouched = loop(guidance=guidance)

    with tenuto.accelerate(loop, technique) as handle:
        output = loop(guidance=guidance)
        stats = handle.stats()

    assert torch.equal(output, untouched)
    assert stats.macs_done == stats.macs_dense > 0
    assert stats.calls_reduced == 0


PER_SAMPLE = {
    "partial": tenuto.DiTo(ratio=0.5, interval=3, warmup=1),
    "paper": tenuto.DiTo.paper(),
    "default": tenuto.DiTo(),
    "orbis": tenuto.ORBIS.paper(),
    "tomesd": tenuto.baselines.ToMeSD(),
    "tofu": tenuto.baselines.ToFu(),
    "sito": tenuto.baselines.SiTo(),
    "toma": tenuto.baselines.ToMA(),
    "asymrnr": tenuto.baselines.AsymRnR(query_ratio=0.5, key_ratio=0.3),
}


@pytest.mark.parametrize("technique", PER_SAMPLE.values(), ids=list(PER_SAMPLE))
def test_guidance_in_one_batch_equals_guidance_in_two_calls(tiny, technique):
    # In single precision a convolution rounds by its batch, which may turn a near tie of two pairs.
    loop = Loop(tiny, dtype=torch.float64)
    with tenuto.accelerate(loop, technique):
        batched = loop(guidance="batched")
        split = loop(guidance="split")

    torch.testing.assert_close(batched, split, rtol=0, atol=1e-6)


@pytest.mark.parametrize("technique", PER_SAMPLE.values(), ids=list(PER_SAMPLE))
def test_a_batch_of_two_equals_one_by_one(loop, technique):
    with tenuto.accelerate(loop, technique):
        both = loop(batch=2, guidance="none")
        first = loop(batch=1, guidance="none")

    torch.testing.assert_close(both[:1], first, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("predict", ["none", "quadratic"])
@pytest.mark.parametrize("keys", ["kept", "held", "all"])
def test_the_models_dtype_is_kept(tiny, dtype, keys, predict):
    tiny.model.to(dtype)
    technique = tenuto.DiTo(ratio=0.5, keys=keys, predict=predict, warmup=1)
    inputs = [tiny.inputs(tiny.noise(), timestep, 1) for timestep in STEPS]
    inputs = [
        {k: v.to(dtype) if isinstance(v, torch.Tensor) and v.is_floating_point() else v
         for k, v in arguments.items()}
        for arguments in inputs
    ]  # fmt: skip

    with tenuto.accelerate(tiny.model, technique) as handle:
        outputs = [tiny.model(**arguments)[0] for arguments in inputs]
        stats = handle.stats()

    assert outputs[1].dtype == dtype
    assert stats.calls_reduced > 0


def test_fitted_weights_work_in_the_models_dtype(make_loop, tmp_path):
    from tenuto.integration import calibration as calibrations

    loop = make_loop("dit")
    loop.tiny.model.to(torch.bfloat16)
    weights = torch.tensor([2.0, -1.0, 0.0])[None, :, None].repeat(6, 1, loop.tiny.width)
    calibration = calibrations.Calibration(
        model=calibrations.model_fingerprint(loop.transformer),
        scheduler=calibrations.scheduler_fingerprint(loop.scheduler),
        ratios=(0.0, 0.0, 1.0, 0.0, 1.0, 0.0),
        forecast_weights=weights,
        notes={},
    )
    path = tmp_path / "fitted.safetensors"
    calibrations.save_calibration(calibration, path)
    loop.scheduler.set_timesteps(6)

    def outputs(technique):
        noise = loop.tiny.noise().bfloat16()
        arguments = [loop.tiny.inputs(noise, float(t), 1) for t in loop.scheduler.timesteps]
        with tenuto.accelerate(loop, technique) as handle:
            made = [loop.transformer(**each)[0] for each in arguments]
            assert handle.stats().calls_reduced > 0
        return made

    made = outputs(tenuto.DiTo(schedule=str(path), predict="fitted"))
    expected = outputs(tenuto.DiTo(schedule=calibration.ratios, predict="linear"))

    # The weights are those of a line one unit step ahead: equal at the first forecast.
    assert made[2].dtype == torch.bfloat16
    torch.testing.assert_close(made[2], expected[2], rtol=0.02, atol=0.02)
