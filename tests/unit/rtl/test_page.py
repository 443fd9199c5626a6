"""docs/rtl.md: its lists are those of the code, its walk is what the engine does."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("amaranth")

from tests.unit.rtl.mutants import MUTANTS

from tenuto.datm_engine_timing import Datm
from tenuto.datm_timing import SimilarityArray
from tenuto.rtl.cases.datm import case_from
from tenuto.rtl.ladder import check
from tenuto.rtl.lint import WAIVERS
from tenuto.rtl.packing import unpack
from tenuto.rtl.verilated import is_available
from tenuto.rtl.window_walk import NUM_DESTINATIONS, NUM_REDUCED, walk, with_walk

PAGE = Path(__file__).parents[3] / "docs" / "rtl.md"
WINDOW = Path(__file__).with_name("recorded_window.npy")


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


def test_the_walk_of_the_recorded_window_is_what_golden_says() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert with_walk(page, np.load(WINDOW)) == page


@pytest.mark.slow
@pytest.mark.skipif(not is_available(), reason="no Verilator or no g++")
def test_the_recorded_window_leaves_the_engine_as_the_walk_says() -> None:
    tokens = np.load(WINDOW)
    array = SimilarityArray(tokens=tokens.shape[0], channels=tokens.shape[1], columns=1)
    size = Datm(
        array=array, num_windows=1, num_destinations=NUM_DESTINATIONS, num_reduced=NUM_REDUCED
    )

    outputs = check(case_from(size, [tokens]), "verilator").outputs

    is_pair, token, partner, _ = (
        field[:, 0] for field in unpack(outputs, [(1, bits, False) for bits in (1, 4, 4, 1)])
    )
    kept = " ".join(map(str, token[is_pair == 0]))
    pairs = zip(token[is_pair == 1], partner[is_pair == 1], strict=True)
    rows = walk(tokens).splitlines()
    assert f"| kept | `PairWriter` | {kept} |" in rows
    assert f"| pairs | `PairWriter` | {', '.join(f'{a} -> {b}' for a, b in pairs)} |" in rows
