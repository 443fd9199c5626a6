from tenuto import ORBIS, EagerPrediction, FFNReuse
from tenuto.evaluation.search.setting import Setting, drawn

DENSE = (0.0,) * 6


def test_equal_settings_have_one_key_and_others_another():
    settings = [
        Setting(ratios=DENSE),
        Setting(ratios=(0.0, 0.0, 1.0, 0.0, 0.0, 1.0)),
        Setting(ratios=(0.0, 0.0, 1.0, 0.0, 0.0, 1.0), predict="linear"),
        Setting(ratios=(0.0, 0.0, 0.5, 0.0, 0.0, 1.0)),
        Setting(ratios=DENSE, ffn_reuse=FFNReuse()),
        Setting(ratios=DENSE, ffn_reuse=FFNReuse(blocks=(0, 1))),
        Setting(ratios=DENSE, reduction=ORBIS()),
        Setting(ratios=DENSE, eager=EagerPrediction()),
    ]

    assert len({setting.key for setting in settings}) == len(settings)
    assert Setting(ratios=DENSE, ffn_reuse=FFNReuse()).key == settings[4].key


def test_the_words_name_steps_techniques_and_blocks():
    setting = Setting(
        ratios=(0.0, 0.0, 1.0, 0.5, 0.0, 1.0), ffn_reuse=FFNReuse(sparsity=0.8, blocks=(1, 3))
    )

    assert str(setting) == "fitted x2 + partial 0.5 x1 + FFN column 0.8 every 3 in blocks 1+3"
    assert setting.kinds == {"predicted", "partial", "ffn"}
    assert drawn(setting.ratios) == "##.5#."
    assert str(Setting(ratios=DENSE)) == "untouched"


def test_settings_that_do_the_same_are_equal():
    partial = (0.0, 0.0, 0.5, 0.0, 0.0, 0.0)

    assert Setting(ratios=partial) == Setting(ratios=partial, predict="linear")
    assert not Setting(ratios=partial).is_fitted
    assert Setting(ratios=(0.0, 1.0)).is_fitted
