"""What the statistics say, against sums by hand and arrays counted one by one."""

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import tenuto

NUM_TEXT = 5
STEPS = (900.0, 700.0, 500.0, 300.0)


@pytest.fixture
def tiny(tiny):
    """Without padding of the text: Mochi drops it, the counts take it for attended."""
    inputs = tiny.inputs

    def without_padding(*args):
        arguments = inputs(*args)
        if (mask := arguments.get("encoder_attention_mask")) is not None:
            arguments["encoder_attention_mask"] = torch.ones_like(mask)
        return arguments

    tiny.inputs = without_padding
    return tiny


def flops(tiny, timestep, batch=1):
    """What torch counts in one call: in all, and by module."""
    counter = FlopCounterMode(display=False)
    # Written out, because torch does not count its fused product on CPUs.
    with counter, sdpa_kernel(SDPBackend.MATH):
        tiny(timestep, batch)
    by_module = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    total = counter.get_total_flops()
    if "pos_frequencies" in getattr(tiny, "model", nn.Module())._parameters:
        # Embeddings are not counted: Mochi's are a product of positions with frequencies, and a
        # text pooled by one query over all words and their mean.
        total -= 2 * (tiny.num_tokens * 3 * tiny.width // 2 + 2 * batch * (NUM_TEXT + 1) * 16)
    return total, by_module


def run(tiny, technique, batch=1):
    with tenuto.accelerate(tiny.model, technique) as handle:
        for timestep in STEPS:
            tiny(timestep, batch)
        return handle.stats()


def test_dense_operations_equal_torchs_own_counter(tiny):
    stats = run(tiny, tenuto.DiTo.neutral())

    assert 2 * stats.macs_dense == len(STEPS) * flops(tiny, STEPS[0])[0]
    assert stats.macs_done == stats.macs_dense


@pytest.mark.parametrize("keys", ["kept", "held", "all"])
@pytest.mark.parametrize("scope", [("self",), ("attn", "ffn"), ("ffn",)])
def test_operations_done_equal_torchs_own_counter(tiny, keys, scope):
    # Without forecasts the engine's own work is matching alone, which torch counts, too: it is the
    # only product outside the model.
    technique = tenuto.DiTo(
        schedule=(0.0, 0.5), keys=keys, predict="none", scope=scope, guide="attn"
    )
    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(STEPS[0], 2)
        before = handle.stats()
        by_torch, _ = flops(tiny, STEPS[1], 2)
        after = handle.stats()

    assert after.calls_reduced > 0
    assert 2 * (after.macs_done - before.macs_done) == by_torch


BASELINES = {
    "tofu": tenuto.baselines.ToFu(scope=("attn", "ffn")),
    "sito": tenuto.baselines.SiTo(scope=("attn", "ffn")),
    "toma": tenuto.baselines.ToMA(scope=("attn", "ffn"), interval=1, shared=False),
    "toma shared": tenuto.baselines.ToMA(interval=1),
    "asymrnr": tenuto.baselines.AsymRnR(query_ratio=0.5, key_ratio=0.3),
    "asymrnr, queries": tenuto.baselines.AsymRnR(query_ratio=0.5, key_ratio=0.0),
    "asymrnr, keys of all heads": tenuto.baselines.AsymRnR(
        query_ratio=0.0, key_ratio=0.5, per_head=False
    ),
}


@pytest.mark.parametrize("technique", BASELINES.values(), ids=list(BASELINES))
def test_operations_of_a_baseline_equal_torchs_own_counter(tiny, technique):
    # Matching, merges and unmerges are products outside the model that torch counts, too.
    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(STEPS[0], 2)  # counts a dense call first
        first = handle.stats()
        handle.reset()
        by_torch, _ = flops(tiny, STEPS[0], 2)
        second = handle.stats()

    assert first.macs_done == second.macs_done
    assert 2 * second.macs_done == by_torch
    assert second.calls_reduced > 0
    assert 0 < second.matching_macs < second.macs_done


def test_choosing_the_densest_tokens_is_part_of_matching(make_tiny):
    tiny = make_tiny("dit")
    with tenuto.accelerate(tiny.model, tenuto.DiTo.paper()) as handle:
        for timestep in STEPS[:2]:
            tiny(timestep)  # both are dense; the second one matches
        before = handle.stats()

    assert before.matching_macs == 3 * ((36 - 9) * 9 + 36) * 32


def test_operations_with_an_image_beside_the_text_equal_torchs_own_counter():
    # Image-to-video: the cross-attention has keys of an image, too, before 512 rows of text.
    torch.manual_seed(0)
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=4,
        out_channels=4, text_dim=16, freq_dim=32, ffn_dim=48, num_layers=2, image_dim=16,
        added_kv_proj_dim=24, rope_max_seq_len=32,
    ).eval()  # fmt: skip

    def call(timestep, batch=1):
        return model(
            hidden_states=torch.randn(batch, 4, 2, 8, 8),
            timestep=torch.full((batch,), timestep),
            encoder_hidden_states=torch.randn(batch, 512, 16),
            encoder_hidden_states_image=torch.randn(batch, 7, 16),
        )

    technique = tenuto.DiTo(schedule=(0.0, 0.5), predict="none")
    with tenuto.accelerate(model, technique) as handle:
        call(STEPS[0])
        before = handle.stats().macs_done
        by_torch, _ = flops(call, STEPS[1])
        after = handle.stats()

    assert 2 * (after.macs_done - before) == by_torch
    assert after.calls_reduced == 2 * 3


def test_matching_is_counted_as_the_similarity_matrix_of_each_block_and_sample(make_tiny):
    stats = run(make_tiny("dit"), tenuto.DiTo(ratio=0.5, warmup=1, interval=4), batch=2)

    # 36 tokens, 9 destinations; 3 blocks, 2 samples, 32 channels; the first step alone.
    assert stats.matching_macs == 3 * 2 * (36 - 9) * 9 * 32
    assert stats.matching_s > 0


def test_tokens_are_matched_only_where_the_next_step_uses_the_pairs(make_tiny):
    stats = run(make_tiny("dit"), tenuto.DiTo(ratio=0.5, warmup=3, interval=2))

    # Steps 0, 1 and 2 are dense; step 3 uses what step 2 found.
    assert stats.matching_macs == 3 * (36 - 9) * 9 * 32


@pytest.mark.parametrize(("predict", "num_weighed"), [("hold", 1), ("linear", 2)])
def test_savings_of_one_block_by_hand(make_tiny, predict, num_weighed):
    tiny = make_tiny("dit", num_blocks=1)
    technique = tenuto.DiTo(
        schedule=(0.0, 0.0, 0.5, 0.0), keys="all", predict=predict, scope=("self", "ffn")
    )

    stats = run(tiny, technique)

    tokens, kept, width, hidden = 36, 18, 32, 4 * 32
    saved_rows = tokens - kept
    query_and_output = 2 * saved_rows * width * width
    products = 2 * saved_rows * tokens * width
    feed_forward = 2 * saved_rows * width * hidden
    matching = (tokens - 9) * 9 * width
    # Two modules: a product for each output weighed, one for each value and kept value corrected.
    restoring = 2 * (num_weighed * tokens * width + (tokens + kept) * width)
    assert stats.macs_dense - stats.macs_done == (
        query_and_output + products + feed_forward - matching - restoring
    )
    assert stats.calls_reduced == 2
    assert stats.calls_dense == 6
    assert stats.dense_reasons == {"dense step of the schedule": 6}


def test_a_forecast_run_of_blocks_leaves_what_is_outside_the_blocks(make_tiny):
    tiny = make_tiny("pixart", num_blocks=2)

    stats = run(tiny, tenuto.DiTo(schedule=(0.0, 1.0, 0.0, 0.0), predict="hold"))

    _, by_module = flops(tiny, STEPS[0])
    blocks = [by_module[f"PixArtTransformer2DModel.transformer_blocks.{i}"] for i in range(2)]
    assert 2 * (stats.macs_dense - stats.macs_done) == sum(blocks) - 2 * 36 * 32
    assert stats.calls_reduced == 2


TECHNIQUES = {
    "paper": tenuto.DiTo.paper(),
    "blocks": tenuto.DiTo(predict="quadratic", warmup=1),
    "modules": tenuto.DiTo(predict="quadratic", predict_at="modules", warmup=1),
    "partial": tenuto.DiTo(ratio=0.5, keys="held", warmup=1, frequency_penalty=0.1),
    "several ratios": tenuto.DiTo(schedule=(0.0, 0.5, 0.25, 0.0), guide="module"),
    "drift": tenuto.DiTo(ratio=0.5, guide="block", drift=True, warmup=2),
    "int8": tenuto.DiTo(ratio=0.5, history_bits=8, warmup=1),
    "orbis": tenuto.ORBIS.paper(),
    "tomesd": tenuto.baselines.ToMeSD(scope=("attn", "ffn")),
    "toma": tenuto.baselines.ToMA(scope=("attn", "ffn"), reuse_steps=4),
    "asymrnr": tenuto.baselines.AsymRnR(query_ratio=(0.0, 0.5), key_ratio=0.3),
    "partners": tenuto.DiTo(ratio=0.5, partners=3, warmup=1),
}


def arrays_in(thing, seen):
    """All tensors that an object holds, however deep."""
    if id(thing) in seen or isinstance(thing, str | int | float | type | None):
        return
    seen[id(thing)] = thing
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from arrays_in(value, seen)
    elif isinstance(thing, list | tuple | set):
        for value in thing:
            yield from arrays_in(value, seen)
    else:
        slots = [s for c in type(thing).__mro__ for s in getattr(c, "__slots__", ())]
        for name in [*slots, *getattr(thing, "__dict__", ())]:
            yield from arrays_in(getattr(thing, name, None), seen)


@pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=list(TECHNIQUES))
@pytest.mark.parametrize("batch", [1, 2])
def test_state_bytes_are_those_that_the_arrays_hold(tiny, technique, batch):
    held = []
    with tenuto.accelerate(tiny.model, technique) as handle:
        engine = handle._accelerated[0].engine
        for timestep in STEPS:
            tiny(timestep, batch)
            storages = {
                array.untyped_storage().data_ptr(): array.untyped_storage().nbytes()
                for array in arrays_in(engine._memories, {})
            }
            held.append(sum(storages.values()))
        stats = handle.stats()

    assert stats.state_bytes_peak == max(held) > 0


def test_no_state_is_held_after_the_last_step_of_a_run(make_loop):
    loop = make_loop("wan")

    with tenuto.accelerate(loop, tenuto.DiTo(ratio=0.5, warmup=1)) as handle:
        loop(guidance="split")

        assert handle._accelerated[0].engine._memories == {}


def test_what_is_hooked_is_counted(tiny, family):
    # Self-attention and feed-forward, or an attention and the projection that it shares with a
    # fused feed-forward: two places a block; three with a cross-attention.
    expected = 3 * (3 if family in {"ltx", "pixart", "unet", "wan"} else 2)

    with tenuto.accelerate(tiny.model, tenuto.DiTo(ratio=0.5)) as handle:
        assert handle.stats().modules_hooked == expected


def test_a_feed_forward_fused_with_the_attention_says_why_it_is_dense_alone(make_tiny):
    stats = run(make_tiny("flux"), tenuto.DiTo(ratio=0.5, scope=("ffn",), warmup=1))

    reason = "feed-forward fused with the attention: `scope` must name both"
    assert stats.dense_reasons[reason] == 2 * len(STEPS)
