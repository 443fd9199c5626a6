"""Reading rivals off at our speed."""

import pytest

from tenuto.evaluation.fronts import fidelity_at, gaps


def row(technique, kind, speedup, psnr_db):
    return {"technique": technique, "kind": kind, "speedup": speedup, "psnr_db": psnr_db}


def test_a_rival_is_read_between_its_own_settings():
    rows = [
        row("fbc:threshold=0.1", "peer", 1.2, 50.0),
        row("fbc:threshold=0.2", "peer", 1.6, 40.0),
        row("dito", "tenuto", 1.5, 60.0),
    ]

    (gap,) = gaps(rows)

    assert (gap.ours, gap.rival, gap.speed) == ("dito", "fbc", 1.5)
    assert gap.rival_db == pytest.approx(42.5)
    assert gap.gap_db == pytest.approx(17.5)


def test_a_rival_that_is_never_that_fast_gets_no_number():
    rows = [row("fewer-steps:30", "control", 1.3, 40.0), row("dito", "tenuto", 2.0, 50.0)]

    assert [gap.gap_db for gap in gaps(rows)] == [None]


def test_a_rival_faster_than_us_is_read_at_its_slowest_setting():
    settings = [row("x", "peer", 2.0, 30.0), row("x:y=1", "peer", 3.0, 20.0)]

    assert fidelity_at(settings, 1.1) == 30.0


def test_settings_that_another_beats_in_both_are_not_on_the_front():
    settings = [row("x", "peer", 1.2, 20.0), row("x", "peer", 1.5, 40.0), row("x", "peer", 2, 30.0)]

    assert fidelity_at(settings, 1.2) == 40.0
    assert fidelity_at(settings, 1.75) == 35.0


def test_identical_and_untimed_rows_are_left_out():
    rows = [row("off", "off", 1.0, None), row("dito", "tenuto", None, 50.0),
            row("fbc", "peer", 1.5, 40.0)]  # fmt: skip

    assert gaps(rows) == []
