"""Eager prediction inside the families' attentions, against arithmetic written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import tenuto
from tenuto.algorithms.eager_prediction import quantize
from tenuto.golden import eager_prediction as golden
from tenuto.integration import eager_place
from tenuto.integration.families import FAMILIES
from tenuto.integration.handle import is_accelerated

STEPS = (900.0, 700.0, 500.0)


@pytest.fixture(autouse=True)
def without_mochi(request):
    """Mochi attends sample by sample, which prediction refuses."""
    if "family" in request.fixturenames and request.getfixturevalue("family") == "mochi":
        pytest.skip("refused: see test_an_attention_of_several_products_is_refused")


@pytest.fixture
def plans(monkeypatch):
    """Plans in the order in which they are made."""
    made = []
    original = eager_place.plan_from_scores

    def keep(*arguments):
        made.append(original(*arguments))
        return made[-1]

    monkeypatch.setattr(eager_place, "plan_from_scores", keep)
    return made


def attention_io(tiny, technique, block=0):
    """Input and output of one block's self-attention in one call."""
    seen = []
    module = getattr(tiny.blocks[block], tiny.attention)
    with tenuto.accelerate(tiny.model, technique) as handle:
        hook = module.register_forward_hook(
            lambda module, args, kwargs, output: seen.append(
                (args[0] if args else kwargs["hidden_states"], output)
            ),
            with_kwargs=True,
        )
        tiny(STEPS[0], 2)
        hook.remove()
        return *seen[-1], handle.stats()


@pytest.mark.parametrize("guidance", ["batched", "split"])
def test_the_neutral_setting_is_the_untouched_model_bit_for_bit(loop, guidance):
    expected = loop(4, guidance=guidance)

    with tenuto.accelerate(loop, tenuto.EagerPrediction.neutral()) as handle:
        assert torch.equal(loop(4, guidance=guidance), expected)
        assert set(handle.stats().dense_reasons) == {"keep ratio of 1"}


def test_after_removal_the_model_is_untouched_bit_for_bit(loop):
    expected = loop(4)

    with tenuto.accelerate(loop, tenuto.EagerPrediction(keep_ratio=0.2)) as handle:
        changed = loop(4)
        with handle.pause():
            assert torch.equal(loop(4), expected)

    assert not torch.equal(changed, expected)
    assert torch.equal(loop(4), expected)
    assert not any("forward" in vars(module) for module in loop.transformer.modules())


@pytest.mark.parametrize("predictor", ["two_step", "one_step", "exact", "random"])
def test_keeping_every_score_gives_the_models_own_output(loop, predictor):
    technique = tenuto.EagerPrediction(
        keep_ratio=0.9999, predictor=predictor, scope=("self", "cross")
    )
    expected = loop(3)

    with tenuto.accelerate(loop, technique) as handle:
        output = loop(3)

    assert handle.stats().calls_reduced > 0
    assert torch.allclose(output, expected, atol=1e-5)


def test_the_same_run_twice_is_the_same_to_the_bit(loop):
    technique = tenuto.EagerPrediction(keep_ratio=0.3, one_hot_threshold=0.1)

    with tenuto.accelerate(loop, technique):
        assert torch.equal(loop(3), loop(3))


def test_a_sample_is_the_same_alone_and_in_a_batch(tiny):
    with tenuto.accelerate(tiny.model, tenuto.EagerPrediction(keep_ratio=0.3)):
        alone, both = tiny(STEPS[0]), tiny(STEPS[0], 2)

    assert torch.allclose(both[:1], alone, atol=1e-5)


def dit_plan(module, rows, technique, threshold):
    """The plan of a plain self-attention, by the golden functions."""
    heads, bits = module.heads, technique.bits
    operands = []
    for layer in (module.to_q, module.to_k):
        numbers, unit = quantize(rows, bits, (1, 2))
        weights, weight_unit = quantize(layer.weight, bits, (0, 1))
        sums = golden.project(whole(numbers), whole(weights.T)[None], bits)[:, 0]
        projected = torch.tensor(sums).float() * (unit * weight_unit) + layer.bias
        split = projected.unflatten(-1, (heads, -1)).transpose(1, 2)
        operands.append(quantize(split, bits, (2, 3)))
    (queries, query_unit), (keys, key_unit) = operands
    scores = golden.predict_scores(whole(queries), whole(keys), bits)
    count = technique.keep_count(rows.shape[1])
    unit = query_unit.double() * key_unit.double() * queries.shape[-1] ** -0.5
    limits = np.floor((threshold / unit).numpy())
    parts = [
        [
            golden.plan_from_scores(scores[b, h], count, int(limits[b, h, 0, 0]))
            for h in range(heads)
        ]
        for b in range(len(rows))
    ]
    return (torch.tensor(np.array([[getattr(plan, name) for plan in row] for row in parts]))
            for name in ("keep", "one_hot", "target"))  # fmt: skip


def whole(numbers):
    return numbers.detach().numpy().astype(np.int64)


def heads_of(layer, rows, heads):
    return layer(rows).unflatten(-1, (heads, -1)).transpose(1, 2)


def test_an_attention_computes_what_the_golden_plan_says(make_tiny, plans):
    tiny = make_tiny("dit", 1)
    technique = tenuto.EagerPrediction(keep_ratio=0.3, one_hot_threshold=0.02)
    module = tiny.blocks[0].attn1

    rows, output, _ = attention_io(tiny, technique)

    keep, one_hot, target = dit_plan(module, rows, technique, 0.02)
    query, key, value = (heads_of(getattr(module, f"to_{n}"), rows, module.heads) for n in "qkv")
    soft = F.scaled_dot_product_attention(query, key, value, attn_mask=keep)
    taken = value.gather(2, target[..., None].expand_as(value))
    mixed = torch.where(one_hot[..., None], taken, soft)
    expected = module.to_out[0](mixed.transpose(1, 2).flatten(2))
    assert torch.equal(plans[-1].keep, keep)
    assert torch.equal(plans[-1].one_hot, one_hot)
    assert 0.05 < one_hot.double().mean() < 0.95
    assert torch.allclose(output, expected, atol=1e-6)


def test_rows_that_nobody_needs_are_not_projected(make_tiny, plans):
    tiny = make_tiny("dit", 1)
    module, seen = tiny.blocks[0].attn1, {}
    original = F.linear
    layers = {id(getattr(module, f"to_{n}").weight): n for n in "qkv"}

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is original and id(args[1]) in layers:
                seen[layers[id(args[1])]] = args[0].shape[:-1].numel()
            return func(*args, **(kwargs or {}))

    with tenuto.accelerate(tiny.model, tenuto.EagerPrediction(keep_ratio=0.01)), Watch():
        tiny(STEPS[0], 2)

    plan = plans[-1]
    assert seen["q"] == 2 * tiny.num_tokens
    assert seen["k"] == plan.needed_keys.any(1).sum() < 2 * tiny.num_tokens
    assert seen["v"] == plan.needed_values.any(1).sum() < 2 * tiny.num_tokens


def test_operations_are_those_that_each_head_needs(make_tiny, plans):
    tiny = make_tiny("dit", 1)
    technique = tenuto.EagerPrediction(keep_ratio=0.05, one_hot_threshold=0.02)

    *_, stats = attention_io(tiny, technique)

    plan, width, head_dim = plans[-1], tiny.width, 16
    products = 2 * 2 * tiny.num_tokens * width**2 + 2 * 2 * tiny.num_tokens**2 * head_dim
    rows = sum(
        int((~needed).sum())
        for needed in (plan.needed_queries, plan.needed_keys, plan.needed_values)
    )
    scores = plan.keep.numel() - int((plan.keep & ~plan.one_hot[..., None]).sum())
    saved = rows * width * head_dim + 2 * scores * head_dim
    assert stats.macs_dense - stats.macs_done == saved
    assert stats.shift_adds == 4 * products
    assert stats.matching_macs == 0


def test_joint_attentions_predict_text_and_image_where_they_stand(make_tiny, plans):
    for name in ("sd3", "flux"):
        tiny = make_tiny(name, 2)
        with tenuto.accelerate(tiny.model, tenuto.EagerPrediction(keep_ratio=0.02)) as handle:
            output = tiny(STEPS[0], 2)

        assert plans[-1].keep.shape[-1] == tiny.num_tokens + 5
        assert 0 < plans[-1].needed_keys.double().mean() < 1
        assert output.isfinite().all()
        assert handle.stats().macs_ratio > 1


def test_joint_attentions_project_the_rows_that_are_attended(make_tiny, monkeypatch):
    # If text and image rows were confused, a kept key would be one of those set to zero.
    seen = []

    def keep(self, attention, inputs):
        seen.append((self._plan, inputs["key"]))
        return original(self, attention, inputs)

    original = eager_place.EagerPlace._attend
    monkeypatch.setattr(eager_place.EagerPlace, "_attend", keep)
    for name in ("sd3", "flux"):
        tiny = make_tiny(name, 2)
        with tenuto.accelerate(tiny.model, tenuto.EagerPrediction(keep_ratio=0.02)):
            tiny(STEPS[0], 2)

    for plan, key in seen:
        is_projected = (key != 0).any(-1).any(1)  # (batch, rows)
        assert torch.equal(is_projected, plan.needed_keys.any(1))
        assert not is_projected.all()


def test_a_masked_text_key_is_never_kept(make_tiny, plans):
    tiny = make_tiny("pixart", 1)

    with tenuto.accelerate(tiny.model, tenuto.EagerPrediction(keep_ratio=0.4, scope=("cross",))):
        tiny(STEPS[0])

    assert plans[-1].keep.shape[-1] == 5
    assert plans[-1].keep.sum(-1).unique().tolist() == [2]
    assert not plans[-1].keep[..., 4:].any()


def test_only_the_named_blocks_predict(make_tiny, plans):
    tiny = make_tiny("dit", 3)

    with tenuto.accelerate(tiny.model, tenuto.EagerPrediction(blocks=(2,))) as handle:
        tiny(STEPS[0])

    assert len(plans) == 1
    assert handle.stats().modules_hooked == 1


def test_a_block_that_is_not_there_is_refused_and_nothing_is_hooked(make_tiny):
    tiny = make_tiny("dit", 3)

    with pytest.raises(ValueError, match=r"`blocks` must be below 3, got \(0, 3\)"):
        tenuto.accelerate(tiny.model, tenuto.EagerPrediction(blocks=(0, 3)))
    assert not any("forward" in vars(module) for module in tiny.model.modules())


def test_a_projection_that_is_not_plainly_linear_is_refused_by_name(make_tiny):
    class Quantized(nn.Linear):
        pass

    tiny = make_tiny("dit", 2)
    tiny.blocks[1].attn1.to_k = Quantized(32, 32)

    with pytest.raises(tenuto.UnsupportedModelError, match=r"`to_k` must be .*, got Quantized"):
        tenuto.accelerate(tiny.model, tenuto.EagerPrediction())
    assert not any("forward" in vars(module) for module in tiny.model.modules())


def test_a_run_that_overflows_is_noticed(make_tiny):
    tiny = make_tiny("dit", 1)
    nn.init.constant_(tiny.blocks[0].attn1.to_v.bias, torch.inf)

    with (
        tenuto.accelerate(tiny.model, tenuto.EagerPrediction()),
        pytest.raises(tenuto.NonFiniteError, match="must be finite"),
    ):
        tiny(STEPS[0])


def test_an_attention_of_a_product_a_sample_is_refused_before_it_is_hooked(make_tiny):
    tiny = make_tiny("mochi", 2)

    with pytest.raises(tenuto.UnsupportedModelError, match=r"in one product for eager prediction"):
        tenuto.accelerate(tiny.model, tenuto.EagerPrediction())

    assert not is_accelerated(tiny.model)


def test_an_attention_of_several_products_that_nobody_declared_is_refused_in_its_call(
    make_tiny, monkeypatch
):
    tiny = make_tiny("mochi", 2)
    known = FAMILIES["MochiTransformer3DModel"]
    undeclared = tuple(replace(row, attends_by_sample=False) for row in known.blocks)
    monkeypatch.setitem(FAMILIES, known.model_class, replace(known, blocks=undeclared))

    with (
        tenuto.accelerate(tiny.model, tenuto.EagerPrediction()),
        pytest.raises(tenuto.UnsupportedModelError, match=r"MochiAttention must call .* once"),
    ):
        tiny(STEPS[0], 2)
