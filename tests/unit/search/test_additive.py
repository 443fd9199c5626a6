"""The model of sums, and what it proposes."""

from math import exp, log

import pytest

from tenuto import EagerPrediction, FFNReuse
from tenuto.algorithms.mode_search import ModeSchedule
from tenuto.evaluation.search.additive import (
    Additive,
    Measured,
    Part,
    Shares,
    line_through,
    price_of,
    shares_of,
)
from tenuto.evaluation.search.choose import Target
from tenuto.evaluation.search.propose import candidates, promising
from tenuto.evaluation.search.setting import Setting

REUSE = FFNReuse(sparsity=0.5, interval=2, warmup=1)
EAGER = EagerPrediction(keep_ratio=0.5)
DENSE = (0.0,) * 8
HALF = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0)
PARTIAL = (0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture
def model():
    return Additive(
        num_steps=8,
        prices={0.0: 1.0, 1.0: 0.05, 0.5: 0.6},
        line=(1.0, log(2.0)),
        parts={REUSE: Part(error=1e-4, saving=0.1), EAGER: Part(error=1e-3, saving=0.2)},
        shares={
            "ffn": Shares(error=(0.9, 0.1), saving=(0.5, 0.5)),
            "eager": Shares(error=(0.5, 0.5), saving=(0.25, 0.75)),
        },
    )


def psnr(error):
    return -10 * log(error) / log(10)


def test_a_part_alone_is_foretold_as_it_was_measured(model):
    alone = Setting(ratios=DENSE, ffn_reuse=REUSE)

    assert model.speed(alone) == pytest.approx(1 / 0.9)
    assert model.error(alone, 0.0) == pytest.approx(1e-4)


def test_a_block_has_its_own_share_of_both(model):
    one = Setting(ratios=DENSE, ffn_reuse=REUSE).in_blocks((1,), None)

    assert model.speed(one) == pytest.approx(1 / 0.95)
    assert model.error(one, 0.0) == pytest.approx(1e-5)


def test_errors_add_up_and_savings_shrink_with_the_steps_that_are_left(model):
    both = Setting(ratios=HALF, ffn_reuse=REUSE)
    # Alone: sparse at steps 1, 3, 5, 7. Steps 3 and 6 forecast: sparse at 1, 5.
    cost = 6 + 2 * 0.05 - 0.1 * 8 * 2 / 4

    assert model.speed(both) == pytest.approx(8 / cost)
    assert model.error(both, 1e-5) == pytest.approx(2e-5 + 1e-4)


def test_a_factor_is_learned_for_the_kinds_that_were_measured_together(model):
    both = Setting(ratios=HALF, ffn_reuse=REUSE)
    other = Setting(ratios=PARTIAL, ffn_reuse=REUSE)
    plain, plain_other = model.error(both, 1e-5), model.error(other, 1e-5)
    found = Measured(setting=both, psnr_db=(psnr(3 * plain),), speed=1.5)

    for _ in range(2):  # learning again forgets what was learned before
        model.learn({both: 1e-5}, [found])

    assert model.error(both, 1e-5) == pytest.approx(3 * plain)
    assert model.error(other, 1e-5) == pytest.approx(plain_other)


def test_shares_are_of_runs_with_one_block_each():
    def probe(block, error, speed):
        setting = Setting(ratios=DENSE, ffn_reuse=REUSE).in_blocks((block,), None)
        return Measured(setting=setting, psnr_db=(psnr(error),), speed=speed)

    shares = shares_of([probe(0, 3e-4, 1 / 0.9), probe(1, 1e-4, 1 / 0.8)], 2)

    assert shares["ffn"].error == pytest.approx((0.75, 0.25))
    assert shares["ffn"].saving == pytest.approx((1 / 3, 2 / 3))
    assert "eager" not in shares


def test_a_price_is_what_is_left_after_the_dense_steps():
    one = Measured(setting=Setting(ratios=HALF), psnr_db=(40.0,), speed=8 / 6.4)

    assert price_of(one, 1.0) == pytest.approx(0.2)


def test_a_line_in_logarithms_goes_through_what_lies_on_it():
    slope, intercept = line_through([1e-5, 1e-4, 1e-3], [3 * x**0.5 for x in (1e-5, 1e-4, 1e-3)])

    assert (slope, exp(intercept)) == (pytest.approx(0.5), pytest.approx(3.0))
    assert line_through([1e-4], [2e-4]) == (1.0, pytest.approx(log(2)))


def test_compositions_hold_all_kinds_but_what_cannot_go_together(model):
    schedules = [
        ModeSchedule(units=200, error=1e-5, ratios=HALF),
        ModeSchedule(units=220, error=1e-6, ratios=PARTIAL),
        ModeSchedule(units=256, error=0.0, ratios=DENSE),
    ]

    kinds = {candidate.setting.kinds for candidate in candidates(model, schedules)}

    assert frozenset({"predicted", "ffn", "eager"}) in kinds
    assert frozenset({"predicted", "partial", "ffn"}) in kinds
    assert not any({"partial", "eager"} <= some for some in kinds)
    assert frozenset() not in kinds


def test_blocks_come_from_the_knapsack(model):
    found = candidates(model, [ModeSchedule(units=256, error=0.0, ratios=DENSE)])

    ffn = {c.setting.ffn_reuse.blocks for c in found if c.setting.kinds == {"ffn"}}
    eager = {c.setting.eager.blocks for c in found if c.setting.kinds == {"eager"}}
    assert ffn == {(1,), None}  # block 0 saves as much with nine times the error
    assert eager == {(1,), None}


def test_nothing_is_proposed_that_is_measured_or_foretold_to_lose(model):
    every = candidates(model, [ModeSchedule(units=200, error=1e-5, ratios=HALF)])
    target = Target(speed=1.3)
    first = promising(model, every, [], target)
    best = first[0]
    good = Measured(setting=best.setting, psnr_db=(90.0,), speed=1.35)
    others = [Measured(setting=c.setting, psnr_db=(20.0,), speed=1.4) for c in first[1:]]

    assert best.setting == Setting(ratios=HALF)
    assert {c.setting.kinds for c in first} == {c.setting.kinds for c in every}
    assert promising(model, every, [good, *others], target) == []
