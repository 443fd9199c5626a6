from dataclasses import fields

import pytest

from tenuto.algorithms.datm import Datm
from tenuto.algorithms.orbis import ORBIS
from tenuto.algorithms.schedule import EveryNth


def checked(**setting):
    """An ORBIS whose own checks ran; the tests' type checker, which users have not, did not."""
    technique = object.__new__(ORBIS)
    for field in fields(ORBIS):
        object.__setattr__(technique, field.name, setting.get(field.name, field.default))
    technique.__post_init__()


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"ratio": 1.5}, "`ratio` must be in [0, 1], got 1.5"),
        ({"ratio": float("nan")}, "`ratio` must be in [0, 1], got nan"),
        ({"loss_threshold": 2.0}, "`loss_threshold` must be None or in [0, 1], got 2.0"),
        (
            {"ratio": 1.0, "predict": "none"},
            "`ratio` must be below 1 where `predict` is 'none' or a `loss_threshold` is given, "
            "got 1.0",
        ),
        (
            {"ratio": 1.0, "loss_threshold": 0.1},
            "`ratio` must be below 1 where `predict` is 'none' or a `loss_threshold` is given, "
            "got 1.0",
        ),
        ({"refresh": 0}, "`refresh` must be an integer of at least 1, got 0"),
        ({"warmup": 0}, "`warmup` must be an integer of at least 1, got 0"),
        ({"bits": 16}, "`bits` must be 4, 8 or None, got 16"),
        ({"window": (4, 0)}, "`window` must be None or integers of at least 1, got (4, 0)"),
        ({"window": ()}, "`window` must be None or integers of at least 1, got ()"),
        ({"window": 0}, "`window` must be None or integers of at least 1, got 0"),
        ({"destinations": 0.0}, "`destinations` must be in (0, 1], got 0.0"),
        ({"keys": "some"}, "`keys` must be 'kept', 'held' or 'all', got 'some'"),
        (
            {"predict": "fitted"},
            "`predict` must be 'none', 'hold', 'linear' or 'quadratic', got 'fitted'",
        ),
        ({"gain": 2.0}, "`gain` must be in [0, 1], got 2.0"),
        ({"guide": "module"}, "`guide` must be 'attn', 'ffn', 'block' or 'input', got 'module'"),
        ({"rematch": True}, "`rematch` must be False unless `guide` is 'block', got True"),
        ({"matching": "random"}, "`matching` must be 'datm' or 'strided', got 'random'"),
        (
            {"matching": "strided", "loss_threshold": 0.1},
            "`loss_threshold` must be None where `matching` is 'strided', got 0.1",
        ),
        ({"predict_at": "steps"}, "`predict_at` must be 'blocks' or 'modules', got 'steps'"),
        ({"history_bits": 4}, "`history_bits` must be None or 8, got 4"),
        (
            {"predict": "none", "correct": False},
            "`correct` must be True where `predict` is 'none': a copy is all correction, got False",
        ),
        (
            {"predict": "none", "gain": 0.5},
            "`gain` must be 1 where `predict` is 'none': a copy is all correction, got 0.5",
        ),
        ({"scope": ()}, "`scope` must name some of ['attn', 'cross', 'ffn', 'self'], got ()"),
    ],
)
def test_a_bad_setting_is_refused_with_its_rule(setting, text):
    with pytest.raises(ValueError) as caught:
        checked(**setting)

    assert str(caught.value) == text


def test_refreshes_are_every_so_many_steps_from_the_first():
    rows = [ORBIS.paper().reduction().schedule.row(step, 1) for step in range(11)]

    assert [step for step, row in enumerate(rows) if row == (0.0,)] == [0, 5, 10]


def test_the_papers_setting_copies_on_kept_keys_with_pairs_of_the_step_before():
    reduction = ORBIS.paper().reduction()

    assert (reduction.predict, reduction.keys, reduction.parts) == (
        "none",
        "kept",
        frozenset({"self"}),
    )
    assert (reduction.guide, reduction.rematch, reduction.matcher) == ("block", True, Datm())


def test_neutral_reduces_nothing():
    schedule = ORBIS.neutral().reduction().schedule

    assert isinstance(schedule, EveryNth)
    assert all(schedule.row(step, 2) == (0.0, 0.0) for step in range(20))


def test_settings_of_the_matching_reach_it():
    technique = ORBIS(bits=None, window=128, destinations=0.5, loss_threshold=0.1)

    assert technique.reduction().matcher == Datm(
        bits=None, window=128, destinations=0.5, loss_threshold=0.1
    )


def test_strided_matching_is_the_engines_own():
    reduction = ORBIS(matching="strided", window=(2, 2, 2)).reduction()

    assert (reduction.matcher, reduction.window) == (None, (2, 2, 2))
