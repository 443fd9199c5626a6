"""What each unit of the DATM engine makes of one window, as a table: the walk in docs/rtl.md.

`python -m tenuto.rtl.window_walk docs/rtl.md tests/unit/rtl/recorded_window.npy` writes it there.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenuto.golden.datm import (
    FULL,
    assign,
    loss_codes,
    match,
    reciprocal_roots,
    similarity,
    threshold,
)
from tenuto.rtl.cases.window_rank import ranked

BEGIN = "<!-- written by tenuto.rtl.window_walk -->\n"
END = "<!-- end -->\n"
NUM_DESTINATIONS = 4
NUM_REDUCED = 8


def walk(tokens: NDArray[np.int8]) -> str:
    """Return the table for a frame of one window, with 4 destinations and 8 reduced tokens.

    Args:
        tokens: (tokens, channels), more than 12 tokens.
    """
    head = "| stage | unit | values |\n|---|---|---|\n"
    rows = [*_similarities(tokens), *_choice(tokens)]
    return head + "".join(f"| {stage} | {unit} | {values} |\n" for stage, unit, values in rows)


def _similarities(tokens: NDArray[np.int8]) -> Iterator[tuple[str, str, str]]:
    norms = (tokens.astype(np.int64) ** 2).sum(axis=1)
    mantissa, exponent = reciprocal_roots(norms)
    yield "norms", "`SimilarityArray`, while loading", _listed(norms)
    yield "mantissas of the roots", "`ReciprocalRoot`, 17 cycles each", _listed(mantissa)
    yield "their exponents", "`ReciprocalRoot`", _listed(exponent)
    yield "column of token 0, first pass", "`SimilarityArray`", _listed(similarity(tokens)[:, 0])


def _choice(tokens: NDArray[np.int8]) -> Iterator[tuple[str, str, str]]:
    matrix = similarity(tokens)
    gains, order = ranked(matrix)
    chosen = np.sort(order[:NUM_DESTINATIONS])
    is_chosen = np.isin(np.arange(len(tokens)), chosen)
    nearest, likeness = assign(matrix, chosen)
    losses = (FULL - likeness)[~is_chosen]
    codes = loss_codes(losses)
    boundary, quota = threshold(codes, NUM_REDUCED)
    plan = match(
        tokens, (NUM_REDUCED + 0.5) / len(tokens),
        window=len(tokens), num_destinations=NUM_DESTINATIONS,
    )  # fmt: skip
    yield "order", "`WindowRank`", _listed(order)
    yield "gains in that order", "`WindowRank`", _listed(gains)
    yield "bitmap", "`BudgetSelect`", "".join("01"[int(bit)] for bit in is_chosen)
    yield "nearest destination, second pass", "`WindowAssign`", _listed(nearest)
    yield "losses of the other tokens", "`WindowAssign`", _listed(losses)
    yield "their bins", "`PairWriter`", f"{_listed(codes)}; boundary {boundary}, quota {quota}"
    yield "kept", "`PairWriter`", _listed(plan.keep)
    pairs = zip(plan.src.tolist(), plan.dst.tolist(), strict=True)
    yield "pairs", "`PairWriter`", ", ".join(f"{src} -> {dst}" for src, dst in pairs)


def _listed(values: NDArray[np.integer]) -> str:
    return " ".join(map(str, values.tolist()))


def with_walk(page: str, tokens: NDArray[np.int8]) -> str:
    """Return a page with the table between its two marks."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + walk(tokens) + END + rest.split(END)[1]


def main(arguments: list[str]) -> None:
    """Write the walk of a window's tokens into a page."""
    page, window = map(Path, arguments)
    text = with_walk(page.read_text(encoding="utf-8"), np.load(window))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
