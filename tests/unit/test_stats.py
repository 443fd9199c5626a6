from dataclasses import fields, replace

from torch import nn

from tenuto.integration.counters import Counters
from tenuto.integration.macs import MacTable
from tenuto.integration.stats import Stats

EXAMPLE = Stats(
    modules_hooked=4,
    calls_reduced=6,
    calls_dense=10,
    macs_done=2_000_000_000,
    macs_dense=3_000_000_000,
    matching_macs=5_000_000,
    matching_s=0.25,
    state_bytes_peak=2**20,
    dense_reasons={"dense step of the schedule": 10},
)
SHAPES = ("any",)


def test_the_ratio_is_dense_over_done():
    assert EXAMPLE.macs_ratio == 1.5


def test_the_ratio_before_any_call_is_one():
    assert replace(EXAMPLE, macs_done=0, macs_dense=0).macs_ratio == 1.0


def test_the_table_shows_every_count():
    table = str(EXAMPLE)

    for text in ("4", "6", "10", "2.00 G", "3.00 G", "1.50x", "0.005 GMAC", "0.250 s", "1.00 MiB"):
        assert text in table
    assert "  dense step of the schedule" in table


def test_the_dict_has_every_field():
    assert set(EXAMPLE.to_dict()) == {field.name for field in fields(Stats)}


def test_totals_add_up_counts_and_reasons():
    other = replace(EXAMPLE, calls_dense=3, dense_reasons={"no pairs yet": 3})

    total = Stats.total([EXAMPLE, other])

    assert total.calls_dense == 13
    assert total.macs_dense == 6_000_000_000
    assert total.dense_reasons == {"dense step of the schedule": 10, "no pairs yet": 3}


def counters_of(layer, attention):
    counters = Counters()
    counters.tables[SHAPES] = MacTable(leaves={layer: 100}, cores={attention: 40})
    return counters


def test_a_dense_call_does_all_its_operations():
    counters = counters_of(nn.Linear(1, 1), nn.Identity())

    counters.call_done(SHAPES, state_bytes=0)

    assert (counters.stats().macs_done, counters.stats().macs_dense) == (140, 140)


def test_savings_are_shares_of_a_modules_own_work_and_of_its_score_products():
    layer, attention = nn.Linear(1, 1), nn.Identity()
    counters = counters_of(layer, attention)

    counters.reduced({layer: (0.5, 0.0), attention: (0.0, 0.75)})
    counters.call_done(SHAPES, state_bytes=0)

    stats = counters.stats()
    assert stats.macs_done == 140 - 50 - 30
    assert stats.calls_reduced == 1


def test_a_skipped_module_saves_everything_inside_it():
    block = nn.Sequential(nn.Linear(1, 1), nn.Identity())
    counters = counters_of(block[0], block[1])

    counters.skipped(block)
    counters.call_done(SHAPES, state_bytes=0)

    assert counters.stats().macs_done == 0


def test_matching_and_forecasts_are_work_done_too():
    counters = counters_of(nn.Linear(1, 1), nn.Identity())

    counters.matching(7, seconds=0.5)
    counters.extra(3)
    counters.call_done(SHAPES, state_bytes=0)

    stats = counters.stats()
    assert (stats.macs_done, stats.matching_macs, stats.matching_s) == (150, 7, 0.5)


def test_savings_count_for_one_call_only():
    layer = nn.Linear(1, 1)
    counters = counters_of(layer, nn.Identity())

    counters.reduced({layer: (1.0, 0.0)})
    counters.call_done(SHAPES, state_bytes=0)
    counters.call_done(SHAPES, state_bytes=0)

    assert counters.stats().macs_done == 40 + 140


def test_the_peak_is_the_most_bytes_of_any_call():
    counters = counters_of(nn.Linear(1, 1), nn.Identity())

    for state_bytes in (5, 9, 2):
        counters.call_done(SHAPES, state_bytes)

    assert counters.stats().state_bytes_peak == 9


def test_reset_sets_the_counts_to_zero_but_knows_the_model():
    counters = counters_of(nn.Linear(1, 1), nn.Identity())
    counters.modules_hooked = 3
    counters.dense("a reason", 2)
    counters.call_done(SHAPES, state_bytes=5)

    counters.reset()

    stats = counters.stats()
    assert stats.modules_hooked == 3
    assert (stats.calls_dense, stats.macs_dense, stats.state_bytes_peak) == (0, 0, 0)
    assert stats.dense_reasons == {}
