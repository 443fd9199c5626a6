"""Variants of the families: what is handled, what runs dense and says so, what is refused."""

import re

import pytest
import torch
from diffusers import SD3Transformer2DModel, UNet2DConditionModel, WanTransformer3DModel
from diffusers.models.attention import BasicTransformerBlock
from tests.integration import tiny_models

import tenuto
from tenuto.errors import UnsupportedModelError
from tenuto.integration.family import ModelFamily

STEPS = (900.0, 700.0, 500.0)
PARTIAL = tenuto.DiTo(schedule=(0.0, 0.5, 0.5), predict="none", scope=("attn", "ffn"))
NOT_ONE_GRID = "image rows do not match one token grid"


def outputs(model, calls, technique=None):
    """What a model puts out call by call, and the statistics."""
    if technique is None:
        return [model(**inputs)[0] for inputs in calls], None
    with tenuto.accelerate(model, technique) as handle:
        return [model(**inputs)[0] for inputs in calls], handle.stats()


def calls_of(tiny, change=lambda inputs: None, batch=1):
    calls = [tiny.inputs(tiny.noise(batch), timestep, 1) for timestep in STEPS]
    for inputs in calls:
        change(inputs)
    return calls


def with_reference_image(inputs):
    """Flux Kontext: the same image again behind the latents, told apart by the first id."""
    inputs["hidden_states"] = inputs["hidden_states"].repeat(1, 2, 1)
    reference = inputs["img_ids"].clone()
    reference[:, 0] = 1
    inputs["img_ids"] = torch.cat([inputs["img_ids"], reference])


def with_upright_reference(inputs):
    """A reference whose rows and columns make the largest ids fit all rows together by chance."""
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(2), indexing="ij")
    wide = torch.stack([torch.zeros(8), columns.flatten(), rows.flatten()], 1)
    tall = torch.stack([torch.ones(8), rows.flatten(), columns.flatten()], 1)
    inputs["hidden_states"] = inputs["hidden_states"][:, :16]
    inputs["img_ids"] = torch.cat([wide, tall])


def with_edited_image(inputs):
    """Qwen-Image-Edit: a second image behind the one that is drawn."""
    inputs["hidden_states"] = inputs["hidden_states"].repeat(1, 2, 1)
    inputs["img_shapes"] = [[(1, 6, 6), (1, 6, 6)]]


def with_video_coordinates(inputs):
    coordinates = torch.rand(1, 3, inputs["hidden_states"].shape[1])
    inputs.update(num_frames=None, height=None, width=None, video_coords=coordinates)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("flux", with_reference_image),
        ("flux", with_upright_reference),
        ("qwen", with_edited_image),
        ("ltx", with_video_coordinates),
    ],
)
def test_other_image_rows_run_dense_bit_for_bit_and_are_counted(name, change):
    tiny = tiny_models.make(name)
    calls = calls_of(tiny, change)
    untouched, _ = outputs(tiny.model, calls)

    dense, stats = outputs(tiny.model, calls, PARTIAL)

    assert all(map(torch.equal, dense, untouched))
    assert stats.dense_reasons == {NOT_ONE_GRID: 3 * stats.modules_hooked}
    assert stats.macs_done == stats.macs_dense > 0


def test_a_run_with_reference_images_does_not_disturb_the_next_one():
    tiny = tiny_models.make("qwen")
    alone, _ = outputs(tiny.model, calls_of(tiny), PARTIAL)

    both, _ = outputs(tiny.model, calls_of(tiny, with_edited_image) + calls_of(tiny), PARTIAL)

    assert all(map(torch.equal, both[3:], alone))


def test_an_id_that_is_no_row_by_row_count_is_no_grid():
    from tenuto.integration.grids import position_id_grid

    ids = torch.stack([torch.zeros(4), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])], 1)

    assert position_id_grid(None, {"img_ids": ids}) == (2, 2)
    assert position_id_grid(None, {"img_ids": ids[[0, 2, 1, 3]]}) is None


def sd35(num_blocks=3):
    torch.manual_seed(0)
    return SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=4, num_layers=num_blocks, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=32, caption_projection_dim=32,
        pooled_projection_dim=64, out_channels=4, qk_norm="rms_norm", dual_attention_layers=(0, 1),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("guide", ["module", "attn", "block"])
def test_the_second_attention_of_sd35_is_reduced_too(guide):
    model, tiny = sd35(), tiny_models.make("sd3")
    technique = tenuto.DiTo(schedule=(0.0, 0.5, 0.5), predict="none", scope=("self",), guide=guide)

    made, stats = outputs(model, calls_of(tiny, batch=2), technique)

    assert stats.calls_reduced == 2 * (3 + 2)
    assert made[1].isfinite().all()


def test_computing_all_tokens_of_both_attentions_in_another_order_changes_nothing(monkeypatch):
    from tenuto.algorithms.match_plan import MatchPlan
    from tenuto.integration.memory import Pairs
    from tenuto.integration.rows import PlanRows

    def any_order(pairs, num_reduced, step_index):
        keep = torch.stack([torch.randperm(pairs.plan.num_tokens) for _ in range(2)])
        return PlanRows(MatchPlan(keep, keep[:, :0], keep[:, :0]))

    monkeypatch.setattr(Pairs, "rows", any_order)
    model, calls = sd35(), calls_of(tiny_models.make("sd3"), batch=2)
    dense, _ = outputs(model, calls)

    made, stats = outputs(model, calls, PARTIAL)

    assert stats.calls_reduced > 0
    torch.testing.assert_close(made[-1], dense[-1], rtol=0, atol=1e-5)


def test_token_replace_blocks_of_hunyuan_are_reduced():
    tiny = tiny_models.make("hunyuan", image_condition_type="token_replace")
    dense, _ = outputs(tiny.model, calls_of(tiny))

    made, stats = outputs(tiny.model, calls_of(tiny), PARTIAL)

    # One double block has two places, each of two single ones too: attention and its projections.
    assert stats.calls_reduced == 2 * 3 * 2
    assert torch.equal(made[0], dense[0])
    assert not torch.equal(made[1], dense[1])


def test_clean_tokens_with_timestep_0_do_not_hide_the_steps():
    # Wan 2.2 image-to-video: every token has its timestep, those of the given frame have 0.
    tiny = tiny_models.make("wan")

    def per_token(inputs):
        timesteps = inputs["timestep"][:, None].repeat(1, tiny.num_tokens)
        timesteps[:, :16] = 0
        inputs["timestep"] = timesteps

    _, stats = outputs(tiny.model, calls_of(tiny, per_token), PARTIAL)

    assert stats.calls_reduced == 2 * 3 * 3


def test_an_image_beside_the_text_of_wan_is_attended_by_computed_queries_only():
    torch.manual_seed(0)
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=4,
        out_channels=4, text_dim=16, freq_dim=32, ffn_dim=48, num_layers=2, image_dim=16,
        added_kv_proj_dim=24, rope_max_seq_len=32,
    ).eval()  # fmt: skip
    image, text = torch.randn(1, 7, 16), torch.randn(1, 512, 16)

    def of_image(inputs):
        inputs.update(encoder_hidden_states=text, encoder_hidden_states_image=image)

    _, stats = outputs(model, calls_of(tiny_models.make("wan"), of_image), PARTIAL)

    assert stats.calls_reduced == 2 * 2 * 3


def unet(**changes):
    torch.manual_seed(0)
    settings = {
        "sample_size": 16, "block_out_channels": (16, 32), "layers_per_block": 1,
        "norm_num_groups": 4, "cross_attention_dim": 16, "attention_head_dim": 2,
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    return UNet2DConditionModel(**{**settings, **changes}).eval()


def unet_calls(size, batch=1):
    text = torch.randn(batch, 5, 16)
    return [
        {"sample": torch.randn(batch, 4, *size), "timestep": t, "encoder_hidden_states": text}
        for t in STEPS
    ]


def test_each_block_of_a_unet_has_its_own_grid_whatever_the_size():
    model = unet()
    with tenuto.accelerate(model, PARTIAL) as handle:
        engine = handle._accelerated[0].engine
        grids = []
        model.up_blocks[-1].register_forward_hook(lambda *_: grids.append(engine.call.grids))
        for inputs in unet_calls((12, 10)):
            model(**inputs)

    # Blocks: two on the way down, one in the middle, two by two on the way up.
    full, half = (12, 10), (6, 5)
    assert [grids[-1][block] for block in range(7)] == [full, half, half, half, half, full, full]


def test_resolutions_that_are_too_small_for_the_ratio_run_dense_with_the_reason():
    _, stats = outputs(unet(), unet_calls((2, 2)), PARTIAL)

    assert stats.calls_reduced == 2 * 3 * 3  # three blocks at 2 x 2, three parts each
    assert stats.dense_reasons["token grid too small for the ratio"] == 2 * 4 * 3


def test_a_unet_pipelines_unet_is_found():
    from types import SimpleNamespace

    with tenuto.accelerate(SimpleNamespace(unet=unet()), PARTIAL) as handle:
        assert handle.stats().modules_hooked == 7 * 3


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            lambda: unet(only_cross_attention=True),
            r"down_blocks\[0\].attn1 must not set `is_cross_attention`: it attends to the text",
        ),
        (
            lambda: unet(
                down_block_types=("DownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "UpBlock2D"),
                mid_block_type=None,
            ),
            "UNet2DConditionModel must have transformer blocks, got none",
        ),
    ],
)
def test_a_unet_that_cannot_be_reduced_is_refused_by_name(model, sentence):
    with pytest.raises(UnsupportedModelError, match=sentence):
        tenuto.accelerate(model(), PARTIAL)


def test_chunked_feed_forwards_are_refused_with_the_remedy():
    model = unet()
    model.mid_block.attentions[0].transformer_blocks[0].set_chunk_feed_forward(2, 1)

    with pytest.raises(UnsupportedModelError, match=r"call `disable_forward_chunking\(\)` first"):
        tenuto.accelerate(model, PARTIAL)


def test_a_block_with_two_self_attentions_is_refused_by_name():
    model = unet()
    transformer = model.mid_block.attentions[0]
    transformer.transformer_blocks[0] = BasicTransformerBlock(
        32, 2, 16, cross_attention_dim=16, double_self_attention=True
    )

    with pytest.raises(UnsupportedModelError, match="must not set `double_self_attention`"):
        tenuto.accelerate(model, PARTIAL)


def test_an_ip_adapter_in_the_joint_attention_is_refused_by_name():
    from diffusers.models.transformers.transformer_flux import FluxIPAdapterAttnProcessor

    tiny = tiny_models.make("flux")
    processor = FluxIPAdapterAttnProcessor(hidden_size=32, cross_attention_dim=32)
    tiny.blocks[0].attn.processor = processor

    sentence = "got FluxIPAdapterAttnProcessor: unload the IP-Adapter"
    with pytest.raises(UnsupportedModelError, match=sentence):
        tenuto.accelerate(tiny.model, PARTIAL)


def test_an_attention_that_looks_elsewhere_at_run_time_is_refused_and_leaves_the_model_usable():
    tiny = tiny_models.make("dit")
    attention = tiny.blocks[0].attn1
    own = attention.processor

    class LooksElsewhere:
        def __call__(self, attention, hidden_states, **kwargs):
            query = attention.to_q(hidden_states)[:, None]
            elsewhere = torch.zeros(len(query), 1, 3, query.shape[-1])
            made = torch.nn.functional.scaled_dot_product_attention(query, elsewhere, elsewhere)
            return attention.to_out[0](made[:, 0])

    untouched = tiny(STEPS[1])
    attention.processor = LooksElsewhere()
    handle = tenuto.accelerate(tiny.model, PARTIAL)
    tiny(STEPS[0])
    with pytest.raises(UnsupportedModelError, match="must attend to its own rows alone, got other"):
        tiny(STEPS[1])
    attention.processor = own
    handle.remove()

    assert torch.equal(tiny(STEPS[1]), untouched)


def test_recording_a_unet_is_refused_by_name():
    from types import SimpleNamespace

    from tenuto.integration.recorder import recording

    model = unet()
    with (
        recording(SimpleNamespace(unet=model, transformer=model), lambda sight: None),
        pytest.raises(UnsupportedModelError, match="must have one token grid to be recorded"),
    ):
        model(**unet_calls((8, 8))[0])


def test_a_family_that_is_known_keeps_its_row():
    row = ModelFamily(model_class="WanTransformer3DModel", blocks=(), grid=None)

    with pytest.raises(ValueError, match=re.escape("must be of a new class, got WanTransformer3D")):
        tenuto.register_family(row)


def test_a_family_without_blocks_is_refused():
    row = ModelFamily(model_class="Empty", blocks=(), grid=None)

    with pytest.raises(ValueError, match="`family` must name blocks, got none for Empty"):
        tenuto.register_family(row)
