"""A LoRA that is loaded before, after, or between two runs."""

import pytest
import torch
from tests.integration import tiny_models

import tenuto

peft = pytest.importorskip("peft")

STEPS = (900.0, 700.0, 500.0)
LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "net.2", "proj_mlp", "proj_out"]
TECHNIQUES = {
    "kept": tenuto.DiTo(ratio=0.5, warmup=1, interval=3, keys="kept"),
    "held": tenuto.DiTo(ratio=0.5, warmup=1, interval=3, keys="held", predict="none"),
    "all": tenuto.DiTo(ratio=0.5, warmup=1, interval=3, keys="all", predict="none"),
    "forecast": tenuto.DiTo(warmup=1),
    "tomesd": tenuto.baselines.ToMeSD(scope=("attn", "ffn")),
}
each_technique = pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=list(TECHNIQUES))
each_name = pytest.mark.parametrize("name", ["flux", "hunyuan", "sd3", "wan"])


def load_lora(model):
    """Add a LoRA to attentions and feed-forwards that changes what they put out."""
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules=LAYERS, init_lora_weights=False)
    model.add_adapter(config, adapter_name="style")


def outputs(tiny):
    return [tiny(timestep, 2) for timestep in STEPS]


@each_technique
@pytest.mark.parametrize("name", ["flux", "wan"])
def test_a_lora_loaded_after_equals_one_loaded_before(name, technique):
    before, after = tiny_models.make(name), tiny_models.make(name)
    load_lora(before.model)
    with tenuto.accelerate(before.model, technique) as handle:
        expected, counted = outputs(before), handle.stats()

    with tenuto.accelerate(after.model, technique) as handle:
        load_lora(after.model)
        made, stats = outputs(after), handle.stats()

    assert all(map(torch.equal, made, expected))
    assert stats.calls_reduced == counted.calls_reduced > 0
    assert stats.macs_done == counted.macs_done < stats.macs_dense == counted.macs_dense


@each_name
def test_a_lora_that_comes_and_goes_leaves_the_runs_beside_it_alone(name):
    tiny = tiny_models.make(name)
    untouched = outputs(tiny)
    handle = tenuto.accelerate(tiny.model, TECHNIQUES["kept"])
    plain = outputs(tiny)
    load_lora(tiny.model)
    styled = outputs(tiny)
    tiny.model.delete_adapters("style")
    tiny.model.unload_lora()
    again = outputs(tiny)
    handle.remove()

    assert not torch.equal(styled[-1], plain[-1])
    assert all(map(torch.equal, again, plain))
    assert all(map(torch.equal, outputs(tiny), untouched))


@each_name
def test_operations_with_a_lora_equal_torchs_own_counter(name):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    tiny = tiny_models.make(name)
    load_lora(tiny.model)
    technique = tenuto.DiTo(schedule=(0.0, 0.5), predict="none", scope=("attn", "ffn"))

    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(STEPS[0], 2)
        before = handle.stats().macs_done
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            tiny(STEPS[1], 2)
        after = handle.stats().macs_done

    assert 2 * (after - before) == counter.get_total_flops()


def test_the_hooks_are_gone_after_removal_under_a_lora():
    tiny = tiny_models.make("wan")
    handle = tenuto.accelerate(tiny.model, TECHNIQUES["kept"])
    outputs(tiny)
    load_lora(tiny.model)
    handle.remove()

    hooks = [m._forward_hooks or m._forward_pre_hooks for m in tiny.model.modules()]
    assert not any(hooks)
