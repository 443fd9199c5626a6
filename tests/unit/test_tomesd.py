import pytest

from tenuto.baselines import ToMeSD


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"ratio": 1.0}, "`ratio` must be in [0, 1), got 1.0"),
        ({"ratio": -0.1}, "`ratio` must be in [0, 1), got -0.1"),
        ({"window": (0, 2)}, "`window` must be None or integers of at least 1, got (0, 2)"),
        (
            {"scope": ("mlp",)},
            "`scope` must name some of ['attn', 'cross', 'ffn', 'self'], got ('mlp',)",
        ),
    ],
)
def test_a_bad_setting_is_refused_with_its_rule(setting, text):
    with pytest.raises(ValueError) as caught:
        ToMeSD(**setting)

    assert str(caught.value) == text


def test_the_published_setting_merges_half_of_self_attention_at_every_step():
    reduction = ToMeSD.paper().reduction()

    assert reduction.schedule.row(0, 1) == reduction.schedule.row(9, 1) == (0.5,)
    assert (reduction.parts, reduction.merge, reduction.guide) == (
        frozenset({"self"}),
        True,
        "input",
    )


def test_neutral_reduces_nothing():
    assert ToMeSD.neutral().reduction().schedule.row(5, 2) == (0.0, 0.0)
