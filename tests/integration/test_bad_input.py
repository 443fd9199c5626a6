"""Each bad input is one clear error, and the pipeline is what it was."""

import gc
import re
from dataclasses import replace
from types import SimpleNamespace
from weakref import ref

import pytest
import torch
from torch import nn

import tenuto
from tenuto.errors import (
    AlreadyAcceleratedError,
    CalibrationError,
    UnsupportedModelError,
)
from tenuto.integration.calibration import (
    Calibration,
    model_fingerprint,
    save_calibration,
    scheduler_fingerprint,
)

SUPPORTED = (
    "['CogVideoXTransformer3DModel', 'DiTTransformer2DModel', 'FluxTransformer2DModel', "
    "'HunyuanVideoTransformer3DModel', 'LTXVideoTransformer3DModel', 'MochiTransformer3DModel', "
    "'PixArtTransformer2DModel', 'QwenImageTransformer2DModel', 'SD3Transformer2DModel', "
    "'UNet2DConditionModel', 'WanTransformer3DModel']"
)


def test_an_unsupported_model_is_named_with_the_supported_ones():
    with pytest.raises(UnsupportedModelError, match=f"{re.escape(SUPPORTED)}, got Linear$"):
        tenuto.accelerate(nn.Linear(1, 1), tenuto.DiTo())


def test_a_pipeline_without_a_transformer_is_refused():
    with pytest.raises(UnsupportedModelError, match="transformer or unet, got SimpleNamespace"):
        tenuto.accelerate(SimpleNamespace(vae=nn.Linear(1, 1)), tenuto.DiTo())


def test_a_pipeline_with_an_unsupported_transformer_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"got Linear$"):
        tenuto.accelerate(SimpleNamespace(transformer=nn.Linear(1, 1)), tenuto.DiTo())


def test_a_foreign_block_is_refused_with_its_place(make_tiny):
    model = make_tiny("wan").model
    model.blocks[1] = nn.Identity()

    with pytest.raises(
        UnsupportedModelError,
        match=r"^WanTransformer3DModel.blocks\[1\] must be a WanTransformerBlock, got Identity$",
    ):
        tenuto.accelerate(model, tenuto.DiTo())


@pytest.mark.parametrize("name", ["wan", "flux"])
def test_fused_projections_are_refused_with_the_remedy(make_tiny, name):
    model = make_tiny(name).model
    model.fuse_qkv_projections()

    with pytest.raises(UnsupportedModelError, match=r"call `unfuse_qkv_projections\(\)` first$"):
        tenuto.accelerate(model, tenuto.DiTo())


def test_another_attention_backend_is_refused_in_the_run_and_the_model_recovers(make_loop):
    class NoProduct:
        def __call__(self, attention, hidden_states, *args, **kwargs):
            return attention.to_out[0](attention.to_v(hidden_states))

    loop = make_loop("dit")
    untouched, processor = loop(), loop.tiny.blocks[0].attn1.processor
    handle = tenuto.accelerate(loop, tenuto.DiTo(ratio=0.5, warmup=1))
    loop.tiny.blocks[0].attn1.processor = NoProduct()

    with pytest.raises(UnsupportedModelError, match=r"must call torch's scaled_dot_product"):
        loop()

    loop.tiny.blocks[0].attn1.processor = processor
    handle.remove()
    assert torch.equal(loop(), untouched)


def test_a_model_that_is_already_accelerated_is_refused_until_its_handle_is_removed(make_loop):
    loop = make_loop("dit")
    handle = tenuto.accelerate(loop, tenuto.DiTo())

    with pytest.raises(AlreadyAcceleratedError, match=r"^DiTTransformer2DModel must not be acc"):
        tenuto.accelerate(loop.transformer, tenuto.DiTo())

    handle.remove()
    tenuto.accelerate(loop.transformer, tenuto.DiTo()).remove()


@pytest.mark.parametrize("not_a_technique", [tenuto.DiTo, "dito", {"ratio": 0.5}, None])
def test_what_is_not_a_technique_is_refused(make_tiny, not_a_technique):
    with pytest.raises(TypeError, match=r"^`techniques` must be instances such as tenuto.DiTo"):
        tenuto.accelerate(make_tiny("dit").model, not_a_technique)


@pytest.mark.parametrize("techniques", [(), (tenuto.DiTo(), tenuto.baselines.ToMeSD())])
def test_other_than_one_technique_is_refused(make_tiny, techniques):
    names = [type(technique).__name__ for technique in techniques]

    with pytest.raises(ValueError, match=re.escape(f"got {names}")):
        tenuto.accelerate(make_tiny("dit").model, *techniques)


@pytest.mark.parametrize(
    ("technique", "text"),
    [
        (
            tenuto.DiTo(ratio=0.9),
            r"^`ratio` must be in \[0, 0.750\] with windows of \(2, 2\) on the grid \(6, 6\)",
        ),
        (tenuto.baselines.ToMeSD(ratio=0.9), r"^`ratio` must be in \[0, 0.750\] with windows"),
        (
            tenuto.DiTo(ratio=0.5, window=(8, 2)),
            r"^`window` must fit into the token grid \(6, 6\), got \(8, 2\)$",
        ),
        (
            tenuto.DiTo(ratio=0.5, window=(1, 2, 2)),
            r"^`window` must fit into the token grid \(6, 6\), got \(1, 2, 2\)$",
        ),
    ],
)
def test_a_setting_that_does_not_fit_the_model_is_refused_in_the_run(make_loop, technique, text):
    loop = make_loop("dit")
    untouched = loop()
    handle = tenuto.accelerate(loop, technique)

    with pytest.raises(ValueError, match=text):
        loop()

    with handle.pause():
        assert torch.equal(loop(), untouched)
    handle.remove()
    assert torch.equal(loop(), untouched)


@pytest.mark.parametrize("scope", [("self",), ("attn", "ffn")])
def test_a_schedule_for_another_number_of_blocks_is_refused(make_tiny, scope):
    technique = tenuto.DiTo(schedule=(0.0, (0.5, 0.5)), scope=scope)
    model = make_tiny("dit").model

    with pytest.raises(ValueError, match=r"one ratio for each of the model's 3 blocks, got 2$"):
        tenuto.accelerate(model, technique)

    assert not any("forward" in module.__dict__ for module in model.modules())


def test_an_unknown_schedule_is_refused(make_tiny):
    with pytest.raises(CalibrationError, match=r"^`schedule` must be a calibration's file or one"):
        tenuto.accelerate(make_tiny("dit").model, tenuto.DiTo(schedule="nobody-made-this"))


def calibration_of(loop, num_steps=6):
    return Calibration(
        model=model_fingerprint(loop.transformer),
        scheduler=scheduler_fingerprint(loop.scheduler),
        ratios=tuple(0.0 if step % 2 == 0 else 1.0 for step in range(num_steps)),
        notes={},
    )


def test_a_calibration_decides_which_steps_are_dense(make_loop, tmp_path):
    loop = make_loop("dit")
    path = tmp_path / "calibrated.safetensors"
    save_calibration(calibration_of(loop), path)

    with tenuto.accelerate(loop, tenuto.DiTo(schedule=str(path), ratio=0.5)):
        calibrated = loop()
    with tenuto.accelerate(loop, tenuto.DiTo(schedule=(0.0, 0.5) * 3)):
        by_hand = loop()

    assert torch.equal(calibrated, by_hand)


def test_a_calibration_for_other_steps_or_another_scheduler_stops_the_run(make_loop, tmp_path):
    from diffusers import FlowMatchHeunDiscreteScheduler

    loop = make_loop("dit")
    untouched = loop()
    path = tmp_path / "calibrated.safetensors"
    save_calibration(calibration_of(loop), path)

    with tenuto.accelerate(loop, tenuto.DiTo(schedule=str(path))) as handle:
        with pytest.raises(CalibrationError, match=r"must be 6, as calibrated, got 7$"):
            loop(num_steps=7)
        euler, loop.scheduler = loop.scheduler, FlowMatchHeunDiscreteScheduler()
        with pytest.raises(CalibrationError, match=r"must be 6, as calibrated, got 11$"):
            loop()
        loop.scheduler = type(euler)(shift=3.0)
        with pytest.raises(CalibrationError, match=r"^the scheduler must be as calibrated, FlowM"):
            loop()
        loop.scheduler = euler
        assert handle.stats().macs_dense == 0
        assert not torch.equal(loop(), untouched)

    assert torch.equal(loop(), untouched)


def test_a_calibration_needs_to_know_the_scheduler(make_loop, tmp_path):
    loop = make_loop("dit")
    path = tmp_path / "calibrated.safetensors"
    save_calibration(calibration_of(loop), path)

    with (
        tenuto.accelerate(loop.transformer, tenuto.DiTo(schedule=str(path))),
        pytest.raises(CalibrationError, match="must be used with a pipeline"),
    ):
        loop()


def test_a_calibration_for_another_model_hooks_none_of_the_pipelines_transformers(
    make_loop, make_tiny, tmp_path
):
    loop = make_loop("dit")
    path = tmp_path / "calibrated.safetensors"
    save_calibration(calibration_of(loop), path)
    loop.transformer_2 = make_tiny("dit", num_blocks=2).model

    with pytest.raises(CalibrationError, match="must be for this model"):
        tenuto.accelerate(loop, tenuto.DiTo(schedule=str(path)))

    assert not any("forward" in module.__dict__ for module in loop.transformer.modules())


def test_a_fitted_forecast_needs_a_calibration_that_has_weights(make_loop, tmp_path):
    loop = make_loop("dit")
    path = tmp_path / "calibrated.safetensors"
    save_calibration(calibration_of(loop), path)

    with pytest.raises(CalibrationError, match="forecast weights"):
        tenuto.accelerate(loop, tenuto.DiTo(schedule=str(path), predict="fitted"))


@pytest.mark.parametrize(
    "setting", [{"predict_at": "modules"}, {"scope": ("self",)}, {"ratio": 0.5}]
)
def test_fitted_weights_are_for_whole_runs_of_blocks_only(make_loop, tmp_path, setting):
    loop = make_loop("dit")
    path = tmp_path / "calibrated.safetensors"
    weights = torch.zeros(6, 3, 32)
    save_calibration(replace(calibration_of(loop), forecast_weights=weights), path)

    with pytest.raises(ValueError, match=r"^`predict`='fitted' must come with ratio=1, predict_at"):
        tenuto.accelerate(loop, tenuto.DiTo(schedule=str(path), predict="fitted", **setting))


def test_both_transformers_of_a_pipeline_are_accelerated(make_loop, make_tiny):
    loop = make_loop("dit")
    second = make_tiny("dit", num_blocks=2)
    loop.transformer_2 = second.model

    with tenuto.accelerate(loop, tenuto.DiTo(ratio=0.5, warmup=1)) as handle:
        loop()
        one = handle.stats().calls_reduced
        second(900.0), second(700.0)
        both = handle.stats().calls_reduced

    # 3 of 6 steps, 3 blocks of 2 modules; then 1 of 2 steps, 2 blocks of 2 modules.
    assert (one, both) == (18, 22)


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_inputs_between_blocks_keep_predicted_steps_dense_and_are_named(make_tiny, name):
    tiny = make_tiny(name)
    argument = {"sd3": "block_controlnet_hidden_states", "flux": "controlnet_block_samples"}[name]
    residual = [torch.ones(1, tiny.num_tokens, tiny.width)] * 3

    def outputs():
        return [
            tiny.model(**{**tiny.inputs(tiny.noise(), t, 1), argument: residual})[0]
            for t in (900.0, 700.0, 500.0)
        ]

    untouched = outputs()
    with tenuto.accelerate(tiny.model, tenuto.DiTo(warmup=1)) as handle:
        accelerated = outputs()
        stats = handle.stats()

    assert all(torch.equal(a, b) for a, b in zip(accelerated, untouched, strict=True))
    assert stats.calls_reduced == 0
    assert set(stats.dense_reasons) == {f"{argument} given"}


def test_a_model_is_freed_with_its_handle(make_loop):
    loop = make_loop("dit")
    handle = tenuto.accelerate(loop, tenuto.DiTo())
    loop()
    model = ref(loop.transformer)

    del loop, handle
    gc.collect()

    assert model() is None
