"""Techniques of different kinds on one pipeline, under one schedule."""

import pytest
import torch

import tenuto

DITO = tenuto.DiTo(schedule=(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0))
REUSE = tenuto.FFNReuse(sparsity=0.5, interval=3, granularity="column", warmup=1)
EAGER = tenuto.EagerPrediction(keep_ratio=0.5)
EVERYTHING = (DITO, REUSE, EAGER)


@pytest.fixture(params=("wan", "sd3", "dit"))
def loop_of_three(request, make_loop):
    return make_loop(request.param)


def run(loop, *techniques):
    with tenuto.accelerate(loop, *techniques) as handle:
        return loop(8), handle.stats()


def test_each_kind_takes_off_what_the_others_leave(loop_of_three):
    alone = [run(loop_of_three, technique)[1] for technique in EVERYTHING]

    _, stats = run(loop_of_three, *EVERYTHING)

    assert stats.macs_done < min(other.macs_done for other in alone)
    assert stats.shift_adds > 0


def test_together_they_leave_nothing_behind(loop_of_three):
    untouched = loop_of_three(8)

    changed, _ = run(loop_of_three, *EVERYTHING)

    assert not torch.equal(changed, untouched)
    assert torch.equal(loop_of_three(8), untouched)


def test_neutral_settings_of_all_kinds_together_change_nothing(loop_of_three):
    untouched = loop_of_three(8)
    neutral = [type(technique).neutral() for technique in EVERYTHING]

    same, stats = run(loop_of_three, *neutral)

    assert torch.equal(same, untouched)
    assert stats.macs_done == stats.macs_dense


def test_the_order_in_which_they_are_given_does_not_matter(loop_of_three):
    first, _ = run(loop_of_three, *EVERYTHING)
    second, _ = run(loop_of_three, *EVERYTHING[::-1])

    assert torch.equal(first, second)


def test_predicting_all_scores_beside_forecasts_changes_nothing_more(loop_of_three):
    """The prediction pass must not be taken for a dense output by what watches the attention."""
    modules = tenuto.DiTo(interval=2, warmup=2, ratio=1.0, predict_at="modules")
    alone, counted = run(loop_of_three, modules)
    everything_kept = tenuto.EagerPrediction(keep_ratio=0.999)  # rounds up to all keys here

    both, stats = run(loop_of_three, modules, everything_kept)

    assert torch.allclose(both, alone, atol=1e-5)
    assert (
        stats.dense_reasons["dense step of the schedule"]
        == (counted.dense_reasons["dense step of the schedule"])
    )


@pytest.mark.parametrize(
    ("techniques", "rule"),
    [
        ((), "`techniques` must be at least one"),
        ((DITO, DITO), r"at most one token reduction.*got \['DiTo', 'DiTo'\]"),
        ((EAGER, DITO, EAGER), r"one EagerPrediction, got \['EagerPrediction', 'DiTo'"),
        (
            (tenuto.DiTo(ratio=0.5), EAGER),
            "must not both reduce tokens in an attention",
        ),
        ((tenuto.baselines.AsymRnR(), EAGER), "must not both reduce tokens in an attention"),
    ],
)
def test_what_cannot_go_together_is_refused_before_anything_is_hooked(make_loop, techniques, rule):
    loop = make_loop("wan")

    with pytest.raises(ValueError, match=rule):
        tenuto.accelerate(loop, *techniques)

    tenuto.accelerate(loop, DITO).remove()
