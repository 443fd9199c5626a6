"""docs/rtl.md lists the faults and the waivers that there are."""

from pathlib import Path

import pytest

pytest.importorskip("amaranth")

from tests.unit.rtl.mutants import MUTANTS

from tenuto.rtl.lint import WAIVERS

PAGE = Path(__file__).parents[3] / "docs" / "rtl.md"


def rows_below(heading: str) -> list[tuple[str, ...]]:
    """Return the cells of the first table below a heading of the page, without its head."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def test_every_fault_that_was_made_on_purpose_is_listed_with_the_proof_that_catches_it() -> None:
    expected = [(m.unit, m.fault, m.proof and f"`{m.proof}`") for m in MUTANTS]

    assert rows_below("Broken on purpose") == expected


def test_every_waiver_is_listed_with_its_reason() -> None:
    assert rows_below("Lint") == [(f"`{rule}`", reason) for rule, reason in WAIVERS.items()]
