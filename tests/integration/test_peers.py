"""Other caches as contenders: they work, count nothing of ours, and leave nothing behind."""

import pytest
import torch

from tenuto.evaluation.contenders import contender
from tenuto.evaluation.generation import load_workload
from tenuto.evaluation.reading import readings_row

CAPTIONS = {
    "emoji-video": "a heart moves left over the sky",
    "emoji-image": "a big heart over the sky",
}


@pytest.fixture(scope="module")
def workloads():
    return {name: load_workload(name, num_steps=6) for name in CAPTIONS}


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        ("emoji-video", "taylorseer:interval=2,scope=blocks,warmup=1"),
        ("emoji-video", "fbc:threshold=0.5"),
        ("emoji-video", "magcache:threshold=0.5,retention=0.1"),
        ("emoji-video", "pab"),
        ("emoji-image", "taylorseer:interval=2,scope=blocks,warmup=1"),
    ],
)
def test_a_cache_changes_the_sample_the_same_way_each_time_and_leaves_nothing(
    workloads, model, spec
):
    work, caption = workloads[model], CAPTIONS[model]
    untouched = work.generate(caption, 0)
    made = contender(spec)
    if made.prepare is not None:
        made.prepare(work)

    with made.applied(work.pipe) as stats_of:
        first, second = work.generate(caption, 0), work.generate(caption, 0)
        assert stats_of() is None

    assert not torch.equal(first, untouched)
    assert torch.equal(first, second)
    assert torch.equal(work.generate(caption, 0), untouched)


def test_magcache_measures_its_ratios_once_and_says_nothing(workloads, capsys):
    work, made = workloads["emoji-video"], contender("magcache")
    calls = []
    hook = work.pipe.transformer.register_forward_hook(lambda *_: calls.append(1))

    made.prepare(work)
    made.prepare(work)
    hook.remove()

    assert len(calls) == 2 * work.num_steps  # two guidance branches
    assert capsys.readouterr().out == ""


def test_a_row_of_readings_counts_what_is_asked_for_and_what_the_reference_shows():
    reference = [["frog", "sea", "left", True], ["frog", "sea", "up", False]]
    readings = [["frog", "sea", "left", True], ["car", "sea", "up", False]]

    assert readings_row(readings, reference) == {"caption_accuracy": 0.5, "shows_the_same": 0.5}
    assert readings_row(reference, reference)["shows_the_same"] == 1.0
    assert readings_row([None], [None]) == {"caption_accuracy": None, "shows_the_same": None}
