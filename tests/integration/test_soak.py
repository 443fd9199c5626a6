"""One life of the soak, and that a loss would be seen."""

from collections import Counter

import pytest
import torch
from recipes.soak import lives
from recipes.soak.run import conclude, finished_lives, slope
from recipes.soak.settings import random_spec


def test_a_life_loses_nothing():
    counts = Counter()

    assert lives.live(7, 3, {}, counts) == 0
    assert counts["on"] >= 3 and counts["checked with everything off"] == 2


def test_a_life_is_the_same_whenever_it_is_repeated():
    first = [random_spec(lives.Random("0/1")) for _ in range(2)]

    assert first[0] == first[1]


def test_a_model_that_was_not_restored_is_a_loss(capsys):
    subject = lives.Subject("dit")
    subject.loop.tiny.blocks[0].ff.register_forward_hook(lambda *given: given[2] * 1.0001)

    with pytest.raises(lives.LostError, match="with everything off, the output is not"):
        subject.check_off({"num_steps": 2})


def test_state_that_leaks_into_a_run_is_a_loss():
    subject = lives.Subject("dit")
    subject.switch_on("dito:warmup=1")
    sample = subject.loop(num_steps=3)

    subject.check_on({"num_steps": 3}, sample)
    with pytest.raises(lives.LostError, match="not that of the same settings on a fresh model"):
        subject.check_on({"num_steps": 3}, torch.nextafter(sample, sample + 1))


def life(traced: int, lost: int = 0) -> dict:
    return {
        "seed": 0, "life": 0, "lost": lost, "counts": {"on": 3}, "traced_bytes": traced,
        "resident_bytes": 0, "seconds": 1.0, "this_run": True,
    }  # fmt: skip


def test_memory_that_grows_is_a_loss(capsys):
    flat, growing = [life(10**6)] * 12, [life(10**6 * n) for n in range(12)]

    assert conclude(flat) == 0
    assert conclude(growing) == 1
    assert "LOST: Python's memory grows" in capsys.readouterr().out


def test_a_lost_generation_is_exit_code_1(capsys):
    assert conclude([life(0), life(0, lost=1)]) == 1
    assert "50 generations, 1 lost" in capsys.readouterr().out


def test_finished_lives_are_not_repeated(tmp_path):
    out = tmp_path / "soak.jsonl"
    out.write_text('{"seed": 0, "life": 4}\n{"seed": 1, "life": 5}\n')

    assert set(finished_lives(out, 0)) == {4}


def test_the_slope_is_that_of_a_line():
    assert slope([(0, 1), (10, 21), (20, 41)]) == pytest.approx(2)
