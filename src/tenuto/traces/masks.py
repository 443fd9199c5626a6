"""How many columns and array tiles a sparse mask occupies, from packings of random masks.

The table is made by `benchmarks/packing_table.py` with the golden `pack`; here it is interpolated.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Style = Literal["iid", "clustered"]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Shares of the dense mask, each in [0, 1].

    Attributes:
        columns: Columns of a 16-row block with any live element.
        condensed: 16 x 16 tiles after dead columns are taken out.
        merged: The same after tiles are laid over one another.
    """

    columns: Floats
    condensed: Floats
    merged: Floats


@cache
def _table() -> dict[str, dict[str, list[float]]]:
    text = (files("tenuto.traces") / "data" / "packing.json").read_text(encoding="utf-8")
    return json.loads(text)["styles"]


def occupancy(density: Floats, style: Style) -> Occupancy:
    """Return what masks of a live share occupy.

    Args:
        density: Share of live elements, in [0, 1].
        style: Live elements anywhere ("iid") or mostly in popular columns ("clustered").
    """
    table = _table()[style]
    found = (np.interp(density, table["density"], table[name]) for name in ("columns", "condensed"))
    columns, condensed = found
    merged = np.interp(density, table["density"], table["merged"])
    return Occupancy(columns, condensed, np.minimum(merged, condensed))
