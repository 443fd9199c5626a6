"""ORBIS in real transformers: whose outputs guide, what outlives a call, adaptive ratios."""

import numpy as np
import pytest
import torch

import tenuto
from tenuto.golden import datm as golden
from tenuto.golden.quantize import quantize_rows

STEPS = (900.0, 800.0, 700.0, 600.0, 500.0, 400.0)
COPY = {"keys": "kept", "predict": "none", "scope": ("self",), "warmup": 1}


def memory_of(handle):
    (memory,) = handle._accelerated[0].engine._memories.values()
    return memory


def golden_plan(rows, ratio, window, grid):
    return golden.match(quantize_rows(rows.numpy(), 8), ratio, window=window, grid=grid)


def grid_of(tiny):
    """Token grid of the tiny video model: latent axes over the patch."""
    patch = tiny.model.config.patch_size
    axes = tiny.latents[1:]
    grid = tuple(axis // size for axis, size in zip(axes, patch, strict=True))
    assert int(np.prod(grid)) == tiny.num_tokens
    return grid


def test_every_family_takes_the_papers_setting(tiny):
    with tenuto.accelerate(tiny.model, tenuto.ORBIS.paper()) as handle:
        outputs = [tiny(timestep) for timestep in STEPS]
        stats = handle.stats()

    assert all(bool(output.isfinite().all()) for output in outputs)
    assert stats.calls_reduced == 4 * len(tiny.blocks)  # steps 0 and 5 are refreshes
    assert stats.macs_done < stats.macs_dense


def test_pairs_are_the_golden_plan_of_the_blocks_output_at_the_step_before(make_tiny):
    tiny = make_tiny("wan")
    window, grid, outputs = (2, 2, 2), grid_of(tiny), {}
    for index, block in enumerate(tiny.blocks):
        block.register_forward_hook(
            lambda module, args, output, index=index: outputs.update({index: output.clone()})
        )
    technique = tenuto.ORBIS(
        ratio=0.5, refresh=4, window=window, guide="block", rematch=True, **COPY
    )

    with tenuto.accelerate(tiny.model, technique) as handle:
        for timestep in STEPS[:3]:
            tiny(timestep, 2)
            for index, rows in outputs.items():
                plan = memory_of(handle).pairs[(index, "block")].plan
                for sample in range(2):
                    expected = golden_plan(rows[sample], 0.5, window, grid)
                    assert plan.src[sample].tolist() == expected.src.tolist()
                    assert plan.dst[sample].tolist() == expected.dst.tolist()


@pytest.mark.parametrize("guide", ["attn", "ffn", "block"])
def test_without_rematching_pairs_live_until_the_next_refresh(make_tiny, guide):
    tiny = make_tiny("wan")
    technique = tenuto.ORBIS(ratio=0.5, refresh=3, guide=guide, window=(2, 2, 2), **COPY)
    seen = []

    with tenuto.accelerate(tiny.model, technique) as handle:
        for timestep in STEPS:
            tiny(timestep)
            seen.append(memory_of(handle).pairs[(1, guide)].plan.src.tolist())

    assert seen[0] == seen[1] == seen[2] != seen[3]
    assert seen[3] == seen[4] == seen[5]


def test_only_eight_bytes_a_token_outlive_a_call(tiny):
    technique = tenuto.ORBIS(ratio=0.75, refresh=3, window=8, **COPY)

    with tenuto.accelerate(tiny.model, technique) as handle:
        for timestep in STEPS:
            tiny(timestep, 2)
        stats = handle.stats()

    assert stats.calls_reduced > 0
    per_token = stats.state_bytes_peak / (2 * tiny.num_tokens * len(tiny.blocks))
    assert 0 < per_token <= 8


def test_a_loss_threshold_reduces_less_where_tokens_differ_more(make_tiny):
    tiny = make_tiny("wan")
    done = []
    for threshold in (0.05, 0.3, 1.0):
        technique = tenuto.ORBIS(
            ratio=0.7, loss_threshold=threshold, refresh=3, window=(2, 2, 2), **COPY
        )
        with tenuto.accelerate(tiny.model, technique) as handle:
            for timestep in STEPS:
                tiny(timestep)
            for pairs in memory_of(handle).pairs.values():
                assert (16 * pairs.num_reduced) % tiny.num_tokens == 0 or pairs.num_reduced == int(
                    0.7 * tiny.num_tokens
                )
            done.append(handle.stats().macs_done)

    assert done == sorted(done, reverse=True)
    assert done[0] > done[-1]


def test_where_no_pair_is_similar_enough_the_block_runs_dense(make_tiny):
    tiny = make_tiny("wan")
    dense = [tiny(timestep) for timestep in STEPS]
    technique = tenuto.ORBIS(ratio=0.5, loss_threshold=0.0, refresh=3, **COPY)

    with tenuto.accelerate(tiny.model, technique) as handle:
        outputs = [tiny(timestep) for timestep in STEPS]
        stats = handle.stats()

    assert all(torch.equal(a, b) for a, b in zip(outputs, dense, strict=True))
    assert stats.dense_reasons["no pair is similar enough"] == 4 * len(tiny.blocks)


@pytest.mark.parametrize("matching", ["datm", "strided"])
def test_guided_by_the_input_every_reduced_step_matches_anew(make_tiny, matching):
    tiny = make_tiny("wan")
    technique = tenuto.ORBIS(
        ratio=0.5, refresh=3, guide="input", matching=matching, window=(2, 2, 2), **COPY
    )

    with tenuto.accelerate(tiny.model, technique) as handle:
        tiny(STEPS[0])
        assert memory_of(handle).pairs == {}
        tiny(STEPS[1])
        first = memory_of(handle).pairs[(1, "input")].plan
        tiny(STEPS[2])
        second = memory_of(handle).pairs[(1, "input")].plan

    assert first.src.tolist() != second.src.tolist()


def test_a_ratio_of_one_forecasts_all_blocks_as_one(make_tiny):
    tiny = make_tiny("wan")

    with tenuto.accelerate(tiny.model, tenuto.ORBIS(ratio=1.0, refresh=2, warmup=2)) as handle:
        for timestep in STEPS:
            tiny(timestep)
        stats = handle.stats()

    assert stats.matching_macs == 0
    assert stats.macs_ratio > 1.3


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"window": (64, 2, 2)}, "`window` must fit into the token grid"),
        ({"window": (2, 2)}, "`window` must fit into the token grid"),
        ({"window": (2, 2, 2), "ratio": 0.95}, r"`ratio` must be in \[0, 0\.\d+\] with windows"),
    ],
)
def test_what_the_grid_cannot_give_is_refused_at_the_first_step(make_tiny, setting, text):
    tiny = make_tiny("wan")

    with (
        tenuto.accelerate(tiny.model, tenuto.ORBIS(**setting)),
        pytest.raises(ValueError, match=text),
    ):
        tiny(STEPS[0])
