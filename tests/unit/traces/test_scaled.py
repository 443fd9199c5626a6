"""Scaled traces have the published shapes and exactly the sparsity that they state."""

import numpy as np
import pytest

from tenuto.traces.masks import occupancy
from tenuto.traces.recipes import RECIPES
from tenuto.traces.scaled import scaled_trace
from tenuto.traces.schema import OVERHEADS, Part
from tenuto.traces.unets import unet_blocks
from tenuto.traces.workloads import WORKLOADS

ATTENTION_SHARES = {
    "flux-1024": 0.20, "sd3-1024": 0.33, "pixart-sigma-1024": 0.37, "dit-xl-2-256": 0.04,
    "cogvideox-2b": 0.61, "cogvideox-5b": 0.49, "hunyuan-video": 0.79, "wan-1.3b": 0.73,
    "wan-14b": 0.76,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ATTENTION_SHARES))
def test_the_share_of_attention_is_the_published_shapes(name: str) -> None:
    table = scaled_trace(name, "dense").operations
    block = np.isin(table.part, [Part.QUERY, Part.KEY_VALUE, Part.SCORES, Part.VALUES,
                                 Part.PROJECTION, Part.FFN_UP, Part.FFN_DOWN])  # fmt: skip
    core = np.isin(table.part, [Part.SCORES, Part.VALUES])

    share = table.dense_macs[core].sum() / table.dense_macs[block].sum()

    assert share == pytest.approx(ATTENTION_SHARES[name], abs=0.025)


def test_stable_diffusion_has_the_operations_that_others_count() -> None:
    # BK-SDM (2305.15798) counts 339 G a call, without the products of the attention and with the
    # 1 x 1 convolutions around blocks that we leave out.
    table = scaled_trace("stable-diffusion", "dense").operations
    cores = np.isin(table.part, [Part.SCORES, Part.VALUES, Part.CROSS_SCORES, Part.CROSS_VALUES])
    one_call = (table.step == 0) & ~cores

    assert table.dense_macs[one_call].sum() / 2 == pytest.approx(339e9, rel=0.08)


def test_a_unet_attends_at_five_blocks_a_level_and_one_in_the_middle() -> None:
    from tenuto.traces.unets import Level

    levels = (Level(8, 64, True), Level(16, 16, False))

    assert unet_blocks(levels) == [(5, levels[0]), (1, levels[1])]


SMALL = sorted(name for name, row in WORKLOADS.items() if row.groups[0].tokens < 4000)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "videocrafter2"])
@pytest.mark.parametrize("recipe", ["dense", "composed", "forecast"])
def test_every_workload_and_recipe_is_consistent_and_marked(name: str, recipe: str) -> None:
    trace = scaled_trace(name, recipe)

    trace.check()

    assert trace.manifest.kind == "scaled"
    assert "assumed" in trace.manifest.sources[-1]


@pytest.mark.parametrize("recipe", sorted(RECIPES))
@pytest.mark.parametrize("name", ["dit", "edge", "sd3-1024"])
def test_the_model_does_not_depend_on_what_was_skipped(name: str, recipe: str) -> None:
    assert scaled_trace(name, recipe).dense_macs == scaled_trace(name, "dense").dense_macs


def test_a_dense_recipe_has_neither_tiles_nor_overheads() -> None:
    trace = scaled_trace("dit", "dense")

    assert len(trace.tiles) == 0
    assert not np.isin(trace.operations.part, OVERHEADS).any()
    assert trace.manifest.techniques == ()


def test_the_same_seed_gives_the_same_trace_and_another_one_another() -> None:
    first, again, other = (scaled_trace("mdm", seed=seed) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first.tiles.live_elements, again.tiles.live_elements)
    assert not np.array_equal(first.tiles.live_elements, other.tiles.live_elements)


def test_live_elements_have_the_stated_density() -> None:
    trace = scaled_trace("dit", "ffn-reuse")
    width = 4608

    density = trace.tiles.live_elements.sum() / (trace.tiles.needed_rows.sum() * width)

    assert density == pytest.approx(1 - WORKLOADS["dit"].ffn_sparsity, rel=0.02)


def test_techniques_without_numbers_are_not_claimed() -> None:
    assert scaled_trace("mld").manifest.techniques == ("FFN-Reuse", "eager prediction")


@pytest.mark.parametrize(("name", "recipe"), [("dit3", "dense"), ("dit", "best")])
def test_unknown_names_are_answered_with_the_known_ones(name: str, recipe: str) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        scaled_trace(name, recipe)


@pytest.mark.parametrize("style", ["iid", "clustered"])
def test_what_a_mask_occupies_grows_with_its_density(style: str) -> None:
    density = np.linspace(0, 1, 101)

    shares = occupancy(density, style)

    for share in (shares.columns, shares.condensed, shares.merged):
        assert np.all(np.diff(share) >= 0)
        assert np.all(share >= density - 1e-3)
    assert np.all(shares.merged <= shares.condensed)
