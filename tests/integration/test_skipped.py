"""What a watched run left out: shares that add up to the counts, masks that are the masks."""

import json

import numpy as np
import pytest
import torch

import tenuto
from tenuto.evaluation.compare import compare
from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import load_workload
from tenuto.evaluation.samples import Plan
from tenuto.evaluation.skipped import SkippedWork
from tenuto.integration.families import family_of
from tenuto.integration.handle import observing
from tenuto.integration.macs import MacCounter

NUM_STEPS = 6


def watched(loop, *techniques, guidance="batched"):
    """Output, statistics and what was left out of a watched run."""
    work = SkippedWork(loop.transformer, NUM_STEPS)
    with tenuto.accelerate(loop, *techniques) as handle, observing(loop.transformer, work):
        output = loop(NUM_STEPS, guidance=guidance)
    return output, handle.stats(), work.to_dict()


def shares(found, kind):
    return np.array(found["shares"][kind], dtype=float)


def pictures(found, what):
    return [picture for picture in found["pictures"] if picture["of"] == what]


@pytest.mark.parametrize("guidance", ["batched", "split"])
def test_the_shares_of_all_blocks_add_up_to_the_counted_saving(loop, family, guidance):
    if family == "mochi":
        pytest.skip("eager prediction refuses its attention")
    counter = MacCounter(loop.transformer)
    counter.start()
    loop(1, guidance=guidance)
    table = counter.stop()
    rows = family_of(loop.transformer).blocks_of(loop.transformer)

    _, stats, found = watched(loop, tenuto.EagerPrediction(keep_ratio=0.3), guidance=guidance)

    dense = np.array([table.within(block) for _, block in rows])
    skipped = (shares(found, "block") * dense[:, None]).sum()
    # Prediction adds no multiply-accumulates; shares are rounded to four digits.
    assert skipped == pytest.approx(stats.macs_dense - stats.macs_done, rel=2e-3)
    assert skipped > 0


def test_watching_changes_nothing_and_ends(make_loop):
    loop = make_loop("wan")
    technique = tenuto.DiTo(ratio=0.5, warmup=1, interval=3, scope=("attn", "ffn"))
    work = SkippedWork(loop.transformer, NUM_STEPS)

    with tenuto.accelerate(loop, technique):
        alone = loop(NUM_STEPS)
    output, _, found = watched(loop, technique)
    with tenuto.accelerate(loop, technique):
        with observing(loop.transformer, work):
            pass
        loop(NUM_STEPS)

    assert torch.equal(output, alone)
    assert found["shares"] and not work.to_dict()["shares"]


def test_a_model_that_is_not_accelerated_cannot_be_watched(make_loop):
    model = make_loop("wan").transformer

    with (
        pytest.raises(ValueError, match="`model` must be accelerated, got WanTransformer3DModel"),
        observing(model, SkippedWork(model, 1)),
    ):
        pass


def test_a_predicted_step_skips_every_part_of_every_block(make_loop):
    _, _, found = watched(make_loop("wan"), tenuto.DiTo(warmup=1, interval=2))

    is_predicted = shares(found, "block") == 1
    assert 0 < is_predicted.all(0).sum() < NUM_STEPS
    for kind in ("projections", "scores", "cross-attention", "feed-forward"):
        np.testing.assert_array_equal(shares(found, kind), shares(found, "block"))


def test_reused_hidden_values_are_a_share_of_the_feed_forward_alone(make_loop):
    setting = tenuto.FFNReuse(sparsity=0.75, interval=3, warmup=1)

    _, _, found = watched(make_loop("wan"), setting)

    expected = [[0, 0.75, 0.75, 0, 0.75, 0.75]] * 3
    np.testing.assert_allclose(shares(found, "feed-forward"), expected)
    for kind in ("projections", "scores", "cross-attention"):
        assert not shares(found, kind).any()


@pytest.mark.parametrize("granularity", ["element", "column", "tile"])
def test_a_picture_of_hidden_values_shows_the_marks(make_loop, granularity):
    setting = tenuto.FFNReuse(
        sparsity=0.75, interval=3, warmup=1, granularity=granularity, tile_rows=4
    )

    _, _, found = watched(make_loop("wan"), setting)

    steps = [picture["step"] for picture in pictures(found, "hidden values")]
    assert steps == [1, 2, 4]
    for picture in pictures(found, "hidden values"):
        skipped = np.array(picture["skipped"])
        assert (picture["block"], picture["columns"]) == (1, 48)
        assert skipped.shape == (picture["rows"], 48)
        assert set(np.unique(skipped)) == {0, 1}
        assert skipped.mean() == pytest.approx(0.75)
        assert granularity != "column" or (skipped == skipped[0]).all()


def test_a_picture_of_scores_shows_what_each_query_dropped(make_loop):
    _, _, found = watched(make_loop("wan"), tenuto.EagerPrediction(keep_ratio=0.25))

    first, *_ = pictures(found, "scores")
    dropped = np.array(first["skipped"])
    assert dropped.shape == (first["rows"], first["columns"])
    np.testing.assert_allclose(dropped.mean(1), 0.75)
    assert [picture["step"] for picture in pictures(found, "scores")] == [0, 2, 4]


def test_a_row_that_token_reduction_left_out_reuses_all_its_hidden_values(make_loop):
    tokens = tenuto.DiTo(ratio=0.5, warmup=1, interval=3, scope=("ffn",), predict="none")
    values = tenuto.FFNReuse(sparsity=0.5, interval=3, warmup=1)

    _, _, found = watched(make_loop("wan"), tokens, values)

    hidden = np.array(pictures(found, "hidden values")[-1]["skipped"])
    reduced = np.array(pictures(found, "tokens")[-1]["skipped"])
    assert reduced.mean() == pytest.approx(0.5)
    is_left_out = (hidden == 1).all(1)
    assert is_left_out.sum() == reduced.sum()
    np.testing.assert_allclose(hidden[~is_left_out].mean(), 0.5)


def test_pictures_are_no_larger_than_their_bound(make_loop, monkeypatch):
    monkeypatch.setattr("tenuto.evaluation.skipped._PICTURE", (5, 7))

    _, _, found = watched(make_loop("wan"), tenuto.FFNReuse(sparsity=0.75, interval=3, warmup=1))

    picture = np.array(pictures(found, "hidden values")[0]["skipped"])
    assert picture.shape == (5, 7)
    assert picture.mean() == pytest.approx(0.75, abs=0.05)


def test_a_comparison_maps_its_rows_and_what_is_mapped_alone(tmp_path):
    plan = Plan(
        workload=load_workload("emoji-video", num_steps=3),
        contenders=(contender("fewer-steps:1"), contender("ffn-reuse:warmup=1")),
        prompts=("a heart moves left over the sky",),
        folder=tmp_path,
        num_timed_runs=0,
        only_mapped=(contender("eager:keep_ratio=0.3,blocks=4"),),
    )

    rows = compare(plan)["rows"]

    runs = json.loads((tmp_path / "maps.json").read_text())["skipped"]
    assert [row["technique"] for row in rows] == ["fewer-steps:1", "ffn-reuse:warmup=1"]
    assert [run["technique"] for run in runs] == [
        "ffn-reuse:warmup=1",
        "eager:keep_ratio=0.3,blocks=4",
    ]
    assert np.array(runs[1]["shares"]["scores"])[4].min() > 0.6
    assert (tmp_path / "skipped" / "ffn-reuse_warmup_1.json").exists()
