"""The estimated constants, made anew with hwcomponents (CACTI, Aladdin) where it can be imported.

It needs Python 3.12 and, on older C libraries, CACTI compiled from source; docs/hardware.md has the
commands. Elsewhere these tests are skipped.
"""

import pytest

from tenuto.accelerators.costs import cost_table

cacti = pytest.importorskip("hwcomponents_cacti")
aladdin = pytest.importorskip("hwcomponents_library.library.aladdin")


@pytest.mark.parametrize(("place", "kib", "width_bits"), [(0, 512, 1024), (1, 2048, 2048)])
def test_memories_are_what_cacti_says(place: int, kib: int, width_bits: int) -> None:
    table = cost_table()["sram"]

    macro = cacti.SRAM(tech_node=14e-9, size=kib * 1024 * 8, width=width_bits)

    assert table["macro_bytes"][place] == kib * 1024
    assert table["pj_per_byte"][place] == pytest.approx(
        macro.read().energy * 1e12 / (width_bits / 8), rel=0.01
    )
    assert table["mm2_per_mib"][place] == pytest.approx(macro.area * 1e6 * 1024 / kib, rel=0.01)


def test_the_integer_multiplier_is_aladdins() -> None:
    unit = aladdin.AladdinIntMAC(tech_node=14e-9, adder_width=32, multiplier_width=8)

    found = cost_table()["entries"]["int8_mac_pj"]["typical"]

    assert found == pytest.approx(unit.mac().energy * 1e12, rel=0.01)


def test_local_memories_are_a_small_macro_scaled_as_the_large_one() -> None:
    small = cacti.SRAM(tech_node=28e-9, size=64 * 1024 * 8, width=256)
    large = [cacti.SRAM(tech_node=node, size=512 * 1024 * 8, width=1024) for node in (14e-9, 28e-9)]

    ratio = large[0].read().energy / large[1].read().energy

    found = cost_table()["entries"]["local_sram_pj_per_byte"]["typical"]
    assert found == pytest.approx(small.read().energy * 1e12 / 32 * ratio, rel=0.02)
