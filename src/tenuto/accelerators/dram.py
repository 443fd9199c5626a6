"""Bandwidth of DRAM for runs of bytes at random places: the fast mode.

Fitted to the bank-level model (`tenuto.accelerators.dram_banks`), which a test holds to reference
cycle counts; the table is made by `benchmarks/dram_efficiency.py`.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenuto.hardware import Dram

Floats = NDArray[np.float64]


@cache
def efficiency_table() -> dict[str, Any]:
    """Return the committed table: share of the peak by kind and length of a run."""
    text = (files("tenuto.accelerators") / "data" / "dram.json").read_text(encoding="utf-8")
    return json.loads(text)


def effective_bytes_per_s(dram: Dram, run_bytes: Floats) -> Floats:
    """Return the bandwidth when every `run_bytes` in a row lie together.

    Runs shorter than one burst of 32 bytes still move a whole one.
    """
    table = efficiency_table()["kinds"][dram.kind]
    runs = np.maximum(np.asarray(run_bytes, np.float64), 1.0)
    share = np.interp(np.log2(runs), np.log2(table["run_bytes"]), table["efficiency"])
    return dram.peak_bytes_per_s * share * np.minimum(runs / table["run_bytes"][0], 1.0)
