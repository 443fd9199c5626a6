"""docs/composition.md: every cell names a test that exists, or says why there is none."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "composition.md").read_text(encoding="utf-8")
ROWS = [
    line.strip("|").split("|")
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| beside |")
]
TESTS = {
    name
    for file in (ROOT / "tests" / "integration").glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)
}


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip() for row in ROWS])
def test_every_cell_is_shown_by_a_test_or_not_supported(row: list[str]) -> None:
    _, state, reason, test = (cell.strip() for cell in row)

    assert reason
    assert test.strip("`") in TESTS or (state == "not supported" and not test)


def test_every_test_of_composition_is_on_the_page() -> None:
    source = ROOT / "tests" / "integration" / "test_composition.py"
    made = re.findall(r"^def (test_\w+)", source.read_text(encoding="utf-8"), re.M)

    assert [name for name in made if f"`{name}`" not in PAGE] == []
