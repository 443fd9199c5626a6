"""docs/families.md: the table is the code's, the example runs."""

from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "families.md"


def test_the_table_of_families_is_the_codes() -> None:
    from tenuto.integration.family_table import with_table

    page = PAGE.read_text(encoding="utf-8")

    assert with_table(page) == page


def test_the_table_is_written_into_the_document_that_is_named(tmp_path: Path) -> None:
    from tenuto.integration import family_table

    page = tmp_path / "page.md"
    page.write_text(f"above\n{family_table.BEGIN}old\n{family_table.END}below\n", encoding="utf-8")

    family_table.main([str(page)])

    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"above\n{family_table.BEGIN}| transformer |")
    assert text.endswith(f"{family_table.END}below\n")


def test_without_a_document_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from tenuto.integration import family_table

    family_table.main([])

    assert capsys.readouterr().out == family_table.family_table()


def test_the_example_of_a_family_of_ones_own_prints_what_the_page_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tenuto.integration import families

    monkeypatch.setattr(families, "FAMILIES", dict(families.FAMILIES))
    block = PAGE.read_text(encoding="utf-8").split("<!-- example: begin -->\n")[1]
    code, after = block.removeprefix("```python\n").split("```\n<!-- example: end -->\n\n```\n")
    names: dict[str, Any] = {}

    exec(code, names)

    assert capsys.readouterr().out == after.split("```")[0]
