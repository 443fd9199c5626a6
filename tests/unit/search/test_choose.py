import pytest

from tenuto import FFNReuse
from tenuto.evaluation.search.additive import Measured
from tenuto.evaluation.search.choose import Lags, Target, choose, front_of
from tenuto.evaluation.search.setting import Setting


def measured(speed, psnr_db, sparsity=0.5):
    setting = Setting(ratios=(0.0,) * 4, ffn_reuse=FFNReuse(sparsity=round(sparsity, 3)))
    return Measured(setting=setting, psnr_db=(psnr_db - 1, psnr_db + 1), speed=speed)


FOUR = [measured(s, p, s / 10) for s, p in ((1.2, 60.0), (1.6, 50.0), (2.1, 45.0), (3.0, 30.0))]
BEATEN = measured(1.5, 40.0, 0.9)


def test_the_front_leaves_out_what_is_beaten_and_keeps_the_order_of_speed():
    assert front_of([BEATEN, *reversed(FOUR)]) == FOUR


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (Target(speed=1.5), FOUR[1]),
        (Target(speed=1.6), FOUR[1]),
        (Target(speed=2.0), FOUR[2]),
        (Target(psnr_db=44.0), FOUR[2]),
        (Target(psnr_db=50.0), FOUR[1]),
        (Target(psnr_db=29.0), FOUR[3]),
    ],
)
def test_operations_decide_where_nothing_is_timed(target, wanted):
    assert choose(lambda _: [BEATEN, *FOUR], target, None, Lags()) is wanted


def test_a_setting_that_is_too_slow_in_time_gives_way_to_a_faster_one():
    def slow(some):
        return [0.8 * one.speed for one in some]

    assert choose(lambda _: FOUR, Target(speed=1.6), slow, Lags()) is FOUR[2]


def test_where_time_lags_fewer_operations_are_composed_and_timed():
    goals = []

    def compose(target):
        goals.append(target.speed)
        speeds = [target.speed + i / 100 for i in range(5)]
        return [measured(speed, 50.0 - speed, speed / 10) for speed in speeds]

    def time(some):  # 4 / 5 of what operations save
        return [1 / (1 - 0.8 * (1 - 1 / one.speed)) for one in some]

    chosen = choose(compose, Target(speed=1.6), time, Lags())

    assert goals[:2] == pytest.approx([1.6, 1 / (1 - 0.375 / 0.8)])
    assert chosen.speed == pytest.approx(goals[1], abs=0.011)


def test_what_timings_told_of_some_kinds_is_known_for_the_next_target():
    def partial(speed, psnr_db):
        setting = Setting(ratios=(0.0, 0.5, 0.0, speed % 1))
        return Measured(setting=setting, psnr_db=(psnr_db,), speed=speed)

    asked = []

    def time(some):
        asked.append([one.speed for one in some])
        return [
            1 / (1 - (0.5 if one.setting.ffn_reuse is None else 1.0) * (1 - 1 / one.speed))
            for one in some
        ]

    lags, known = Lags(), [partial(1.75, 70.0), partial(2.25, 65.0), *FOUR]

    assert choose(lambda _: known, Target(speed=1.6), time, lags) is FOUR[1]
    assert choose(lambda _: known, Target(speed=2.0), time, lags) is FOUR[2]
    assert asked == [[1.75, 2.25, 1.6], [2.1, 3.0]]


def test_all_timings_of_its_kinds_decide_not_a_settings_own():
    scattered = {1.2: 1.18, 1.6: 1.55, 2.1: 2.05, 3.0: 2.9}

    def time(some):
        return [scattered[one.speed] for one in some]

    lags = Lags()
    for one in FOUR * 2:
        lags.learn(one, one.speed)

    assert choose(lambda _: FOUR, Target(speed=1.6), time, lags) is FOUR[1]


def test_where_the_tries_run_out_the_fastest_timed_is_taken():
    def compose(target):
        return [measured(target.speed, 50.0, 0.3 + 0.1 * len(given))]

    given = []

    def scattering(some):
        given.append(some[0])
        return [1.99 + len(given) / 10_000]

    assert choose(compose, Target(speed=2.0), scattering, Lags()) is given[-1]
    assert len(given) == 4


def test_of_equal_points_the_first_is_on_the_front():
    twins = [measured(1.2, 60.0, 0.1), measured(1.2, 60.0, 0.2)]

    assert front_of(twins) == twins[:1]


def test_of_settings_of_enough_decibels_the_fastest_in_time_is_chosen():
    def upside_down(some):
        return [1 / one.speed for one in some]

    assert choose(lambda _: FOUR, Target(psnr_db=29.0), upside_down, Lags()) is FOUR[1]


def test_a_target_that_operations_do_not_reach_is_refused_with_what_is_reached():
    with pytest.raises(ValueError, match=r"at most 3.00x or 60.0 dB here, got 4x$"):
        choose(lambda _: FOUR, Target(speed=4.0), None, Lags())
    with pytest.raises(ValueError, match=r"at most 3.00x or 60.0 dB here, got 70 dB$"):
        choose(lambda _: FOUR, Target(psnr_db=70.0), None, Lags())


def test_a_target_that_time_does_not_reach_is_refused_with_what_was_timed():
    with pytest.raises(ValueError, match=r"at most 0.75x of those timed, got 2.0; --price macs"):
        choose(
            lambda _: FOUR,
            Target(speed=2.0),
            lambda some: [one.speed / 4 for one in some],
            Lags(),
        )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "`target` must be decibels or a speed-up"),
        ({"psnr_db": 0.0}, "`--target-psnr` must be above 0 dB, got 0.0"),
        ({"speed": 0.9}, "`--target-speed` must be at least 1, got 0.9"),
    ],
)
def test_a_target_that_cannot_be_wanted_is_refused(fields, text):
    with pytest.raises(ValueError, match=text):
        Target(**fields)
