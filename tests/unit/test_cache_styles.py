import pytest

from tenuto import baselines


def test_a_token_cache_holds_and_corrects_nothing():
    reduction = baselines.toca_style(ratio=0.5, interval=4).reduction()

    assert (reduction.predict, reduction.gain, reduction.keys) == ("hold", 0.0, "held")
    assert [reduction.schedule.row(step, 1)[0] for step in range(5)] == [0, 0.5, 0.5, 0.5, 0]


def test_turns_are_a_dense_step_then_none_and_some_tokens_by_turns():
    schedule = baselines.duca_style(ratio=0.5, interval=5, num_steps=7).reduction().schedule

    rows = [schedule.row(step, 1)[0] for step in range(8)]
    assert rows == [0, 1, 0.5, 1, 0.5, 0, 1, 0]


def test_a_proxy_moves_its_cluster_by_all_of_its_change():
    reduction = baselines.resca_style(partners=2).reduction()

    assert (reduction.predict, reduction.gain, reduction.drift) == ("hold", 1.0, True)
    assert reduction.partners == 2


def test_a_cluster_mean_is_blended_with_the_cache():
    reduction = baselines.clusca_style(gain=0.25).reduction()

    assert (reduction.predict, reduction.gain, reduction.partners) == ("hold", 0.25, 4)


@pytest.mark.parametrize(("name", "value"), [("interval", 0), ("num_steps", 0)])
def test_turns_of_no_steps_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        baselines.duca_style(**{name: value})
