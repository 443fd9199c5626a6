"""Raw samples of a recorded trace are what golden functions make of their inputs."""

import numpy as np
import pytest

import tenuto
import tenuto.traces
from tenuto.golden.conmerge import pack
from tenuto.golden.datm import FULL, assign, loss_codes, select_destinations, similarity, threshold
from tenuto.golden.eager_prediction import plan_from_scores, predict_scores
from tenuto.integration.trace_samples import CAPACITY, Samples
from tenuto.integration.tracing import tracing
from tenuto.traces.schema import Manifest

STEPS = (900.0, 700.0, 500.0, 300.0)


@pytest.fixture
def recorded(make_tiny, tmp_path):
    def record(*techniques):
        tiny = make_tiny("wan")
        manifest = Manifest(
            model="tiny", kind="recorded", num_steps=1, num_blocks=1, tile_rows=16, seed=3
        )
        with tracing(tiny.model, techniques, tmp_path, manifest=manifest):
            for timestep in STEPS:
                tiny(timestep, 2)
        return tmp_path

    return record


def arrays(folder, group, *names):
    return [tenuto.traces.open_sample(folder, f"{group}/{name}") for name in names]


def test_sampled_masks_pack_into_the_tiles_that_were_counted(recorded):
    folder = recorded(tenuto.FFNReuse(sparsity=0.6, interval=2, warmup=1))

    groups = tenuto.traces.sample_names(folder, "conmerge")

    assert 0 < len(groups) <= CAPACITY["conmerge"]
    for group in groups:
        mask, counts, place = arrays(folder, group, "mask", "counts", "place")
        packing = pack(mask)
        live = (mask.sum(), mask.any(0).sum(), packing.num_condensed_tiles, packing.num_tiles)
        assert tuple(counts) == live
        assert mask.dtype == bool
        assert place.shape == (5,)


def test_sampled_windows_match_as_the_run_did(recorded):
    folder = recorded(tenuto.ORBIS(ratio=0.5))

    groups = tenuto.traces.sample_names(folder, "datm")

    assert 0 < len(groups) <= CAPACITY["datm"]
    for group in groups:
        tokens, members, size, reduced, partner = arrays(
            folder, group, "tokens", "members", "size", "is_reduced", "partner"
        )
        bits, num_destinations, num_reduced, is_whole = size
        assert (bits, is_whole) == (8, 1)
        windows = [own[index >= 0] for own, index in zip(tokens, members, strict=True)]
        similarities = [similarity(window) for window in windows]
        token, nearest, loss = [], [], []
        for number, chosen in enumerate(select_destinations(similarities, num_destinations)):
            best, likeness = assign(similarities[number], chosen)
            for position in set(range(len(windows[number]))) - set(chosen.tolist()):
                token.append(members[number, position])
                nearest.append(best[position])
                loss.append(FULL - likeness[position])
        order = np.argsort(token)
        token, nearest = np.array(token)[order], np.array(nearest)[order]
        codes = loss_codes(np.array(loss)[order])
        boundary, rest = threshold(codes, num_reduced)
        is_reduced = codes < boundary
        is_reduced[np.flatnonzero(codes == boundary)[:rest]] = True
        np.testing.assert_array_equal(np.sort(members[reduced]), token[is_reduced])
        found = dict(zip(members[reduced].tolist(), partner[reduced].tolist(), strict=True))
        assert found == dict(
            zip(token[is_reduced].tolist(), nearest[is_reduced].tolist(), strict=True)
        )


@pytest.mark.parametrize("limit", [None, 0.5])
def test_sampled_heads_are_planned_as_the_run_did(recorded, limit):
    folder = recorded(tenuto.EagerPrediction(keep_ratio=0.4, one_hot_threshold=limit))

    groups = tenuto.traces.sample_names(folder, "eager")

    assert len(groups) == CAPACITY["eager"]
    for group in groups:
        query, key, setting, keep, one_hot = arrays(
            folder, group, "query", "key", "setting", "keep", "one_hot"
        )
        bits, keep_count, margin = (int(value) for value in setting)
        plan = plan_from_scores(
            predict_scores(query, key, bits), keep_count, None if margin < 0 else margin
        )
        np.testing.assert_array_equal(plan.keep, keep)
        np.testing.assert_array_equal(plan.one_hot, one_hot)


def test_a_sample_is_even_over_what_was_offered():
    taken = np.zeros(400)
    for seed in range(300):
        samples = Samples(seed)
        for number in range(400):
            samples.offer("datm", lambda number=number: {"n": np.array(number)})
        for chosen in samples._chosen["datm"]:
            taken[chosen["n"]] += 1

    quarters = taken.reshape(4, 100).sum(1) / taken.sum()
    np.testing.assert_allclose(quarters, 0.25, atol=0.06)
