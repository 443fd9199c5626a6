"""One-line specs and what they become."""

import pytest

from tenuto.errors import CalibrationError
from tenuto.evaluation.contenders import contender


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("off", "off"),
        ("fewer-steps:20", "control"),
        ("tomesd:ratio=0.5", "peer"),
        ("tofu:ratio=0.5", "peer"),
        ("sito:noise=0,seed=3", "peer"),
        ("toma:ratio=0.5,tile=2+2+2", "peer"),
        ("asymrnr:query_ratio=0.5,key_ratio=0+0.3", "peer"),
        ("toca-style", "peer"),
        ("duca-style:ratio=0.5", "peer"),
        ("resca-style:interval=2", "peer"),
        ("clusca-style", "peer"),
        ("taylorseer:interval=2,scope=blocks", "peer"),
        ("fbc:threshold=0.1", "peer"),
        ("magcache:threshold=0.1", "peer"),
        ("pab:interval=3", "peer"),
        ("cache-dit", "peer"),
        ("dito:ratio=0.5,interval=3,scope=attn+ffn,keys=held", "tenuto"),
        ("dito-paper", "tenuto"),
        ("orbis:ratio=0.5,refresh=5,bits=4,window=4+8+8", "tenuto"),
        ("orbis:window=256,loss_threshold=0.05,bits=none", "tenuto"),
        ("orbis-paper", "tenuto"),
        ("ffn-reuse:sparsity=0.9,interval=3,granularity=column", "tenuto"),
        ("dito:ratio=0.5,scope=attn+ffn+ffn-reuse:sparsity=0.9", "tenuto"),
        ("dito-paper+ffn-reuse", "tenuto"),
        ("fewer-steps:20+dito:interval=2", "tenuto"),
    ],
)
def test_a_spec_becomes_a_contender_of_its_kind(spec, kind):
    made = contender(spec)

    assert (made.spec, made.kind) == (spec, kind)


def test_settings_of_a_spec_reach_the_technique():
    params = contender("dito:ratio=0.5,interval=3,scope=self+ffn,window=2+2+2").params

    assert (params["ratio"], params["interval"]) == (0.5, 3)
    assert params["scope"] == ("self", "ffn")
    assert params["window"] == (2, 2, 2)


def test_techniques_joined_to_fewer_steps_work_on_so_many():
    made = contender("fewer-steps:20+dito:interval=3")

    assert made.num_steps == 20
    assert [technique.interval for technique in made.techniques] == [3]


def test_a_style_keeps_its_own_settings_beside_those_that_are_given():
    params = contender("clusca-style:interval=4").params

    assert (params["interval"], params["gain"], params["partners"]) == (4, 0.5, 4)


def test_a_composed_spec_holds_both_techniques():
    made = contender("dito:ratio=0.5,scope=attn+ffn+ffn-reuse:sparsity=0.8,granularity=tile")

    dito, reuse = made.techniques
    assert (dito.ratio, dito.scope) == (0.5, ("attn", "ffn"))
    assert (reuse.sparsity, reuse.granularity) == (0.8, "tile")
    assert made.params["ffn-reuse"]["sparsity"] == 0.8
    assert made.params["dito"]["ratio"] == 0.5


def test_a_slug_is_a_file_name():
    assert contender("dito:ratio=0.5,scope=attn+ffn").slug == "dito_ratio_0.5_scope_attn_ffn"


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ("nope", ValueError, r"`technique` must be one of \['asymrnr', 'cache-dit'.*got 'nope'"),
        ("dito:ratio=1.5", ValueError, r"dito: `ratio` must be in \[0, 1\], got 1\.5"),
        ("dito:speed=2", ValueError, r"dito: unknown keys \['speed'\]"),
        ("dito:ratio=half", ValueError, r"`dito.ratio` must be a number, got 'half'"),
        ("sito:ratio=1", ValueError, r"sito: `ratio` must be in \[0, 1\), got 1\.0"),
        ("toca-style:gain=1", ValueError, r"toca-style: unknown keys \['gain'\]"),
        ("ffn-reuse:sparsity=1", ValueError, r"ffn-reuse: `sparsity` must be in \[0, 1\), got 1"),
        (
            "ffn-reuse:granularity=row",
            ValueError,
            "`ffn-reuse.granularity` must be 'element' or 'column' or 'tile', got 'row'",
        ),
        (
            "dito+fbc",
            ValueError,
            r"`\+` must join techniques of tenuto, and fewer-steps once, got 'fbc' in 'dito\+fbc'",
        ),
        ("fewer-steps:9+dito+fewer-steps:8", ValueError, "once, got 'fewer-steps:8'"),
        ("dito+tomesd", ValueError, r"got \['DiTo', 'ToMeSD'\]"),
        ("dito+nope:a=1", ValueError, "got 'nope'"),
        ("fewer-steps:0", ValueError, "`steps` must be at least 1"),
        ("dito:schedule=nowhere", CalibrationError, "`schedule` must be a calibration's file"),
    ],
)
def test_a_spec_that_cannot_work_says_why(spec, error, text):
    with pytest.raises(error, match=text):
        contender(spec)
