from dataclasses import fields

import pytest

from tenuto.algorithms.dito import DiTo
from tenuto.algorithms.schedule import EveryNth, Table


def checked(**setting):
    """A DiTo whose own checks ran; the tests' type checker, which users have not, did not."""
    technique = object.__new__(DiTo)
    for field in fields(DiTo):
        object.__setattr__(technique, field.name, setting.get(field.name, field.default))
    technique.__post_init__()


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"ratio": 1.5}, "`ratio` must be in [0, 1], got 1.5"),
        ({"ratio": -0.1}, "`ratio` must be in [0, 1], got -0.1"),
        ({"ratio": float("nan")}, "`ratio` must be in [0, 1], got nan"),
        ({"interval": 0}, "`interval` must be an integer of at least 1, got 0"),
        ({"interval": 1.5}, "`interval` must be an integer of at least 1, got 1.5"),
        ({"warmup": 0}, "`warmup` must be an integer of at least 1, got 0"),
        ({"warmup": 2.5}, "`warmup` must be an integer of at least 1, got 2.5"),
        ({"gain": 1.1}, "`gain` must be in [0, 1], got 1.1"),
        ({"frequency_penalty": -1.0}, "`frequency_penalty` must be at least 0, got -1.0"),
        ({"history_bits": 4}, "`history_bits` must be None or 8, got 4"),
        ({"keys": "some"}, "`keys` must be 'kept', 'held' or 'all', got 'some'"),
        ({"guide": "input"}, "`guide` must be 'module', 'attn', 'ffn' or 'block', got 'input'"),
        (
            {"predict": "cubic"},
            "`predict` must be 'none', 'hold', 'linear', 'quadratic' or 'fitted', got 'cubic'",
        ),
        ({"predict_at": "steps"}, "`predict_at` must be 'blocks' or 'modules', got 'steps'"),
        ({"window": (2, 0)}, "`window` must be None or integers of at least 1, got (2, 0)"),
        ({"window": (2, 1.5)}, "`window` must be None or integers of at least 1, got (2, 1.5)"),
        ({"window": ()}, "`window` must be None or integers of at least 1, got ()"),
        ({"scope": ()}, "`scope` must name some of ['attn', 'cross', 'ffn', 'self'], got ()"),
        (
            {"scope": ("mlp",)},
            "`scope` must name some of ['attn', 'cross', 'ffn', 'self'], got ('mlp',)",
        ),
        (
            {"schedule": [0.0, 0.5]},
            "`schedule` must be None, a calibration's name or path, or a tuple of ratios, "
            "got [0.0, 0.5]",
        ),
        ({"schedule": (0.0, 2.0)}, "`schedule[1]` must be in [0, 1], got 2.0"),
        (
            {"schedule": (0.5,)},
            "`schedule[0]` must be 0, as nothing is known before the first step, got 0.5",
        ),
        (
            {"predict": "none"},
            "`predict` must forecast where the ratio is 1, or nothing would be computed, got "
            "'none'",
        ),
        (
            {"predict": "none", "schedule": (0.0, (0.5, 1.0))},
            "`predict` must forecast where the ratio is 1, or nothing would be computed, got "
            "'none'",
        ),
        (
            {"predict": "none", "ratio": 0.5, "correct": False},
            "`correct` must be True where `predict` is 'none': a copy is all correction, got False",
        ),
        (
            {"predict": "none", "ratio": 0.5, "gain": 0.5},
            "`gain` must be 1 where `predict` is 'none': a copy is all correction, got 0.5",
        ),
        (
            {"predict": "fitted"},
            "`predict`='fitted' must come with a calibration in `schedule`, got None",
        ),
    ],
)
def test_a_bad_setting_is_refused_with_its_rule(setting, text):
    with pytest.raises(ValueError) as caught:
        checked(**setting)

    assert str(caught.value) == text


def test_a_schedule_stands_instead_of_the_ratio():
    technique = DiTo(predict="none", schedule=(0.0, 0.5, 0.0))

    assert technique.reduction().schedule == Table((0.0, 0.5, 0.0))


def test_without_a_schedule_the_interval_decides():
    technique = DiTo(ratio=0.25, interval=4, warmup=2)

    assert technique.reduction().schedule == EveryNth(ratio=0.25, interval=4, warmup=2)


def test_a_calibrated_table_comes_from_outside():
    technique = DiTo(schedule="some-name")

    assert technique.reduction(Table((0.0, 1.0))).schedule == Table((0.0, 1.0))


def test_no_correction_is_no_gain():
    assert DiTo(correct=False, gain=0.5).reduction().gain == 0
    assert DiTo(gain=0.5).reduction().gain == 0.5


def test_neutral_reduces_nothing():
    schedule = DiTo.neutral().reduction().schedule

    assert all(schedule.row(step, 2) == (0.0, 0.0) for step in range(20))


def test_the_papers_setting_copies_on_kept_keys_in_self_attention_alone():
    reduction = DiTo.paper().reduction()

    assert (reduction.predict, reduction.keys, reduction.parts) == (
        "none",
        "kept",
        frozenset({"self"}),
    )
