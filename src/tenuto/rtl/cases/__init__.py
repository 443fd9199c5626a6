"""Cases of each unit: small ones for the Amaranth simulator, large ones for compiled C++."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tenuto.rtl.cases import (
    budget_select,
    conmerge,
    datm,
    dot_array,
    eager,
    log_dot,
    pair_writer,
    quantize,
    restore_path,
    similarity_array,
    window_assign,
    window_rank,
)
from tenuto.rtl.ladder import Case

MakeCase = Callable[[np.random.Generator], Case]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCases:
    """How to make cases for a unit.

    Attributes:
        small: Some hundred cycles, at a small size of the unit.
        large: At least a million vectors.
    """

    small: MakeCase
    large: MakeCase


ALL = {
    "log-dot": UnitCases(small=log_dot.small, large=log_dot.large),
    "row-select": UnitCases(small=eager.small_select, large=eager.large_select),
    "eager-row": UnitCases(small=eager.small_row, large=eager.large_row),
    "conmerge": UnitCases(small=conmerge.small, large=conmerge.large),
    "dot-array": UnitCases(small=dot_array.small, large=dot_array.large),
    "quantize": UnitCases(small=quantize.small, large=quantize.large),
    "similarity-array": UnitCases(small=similarity_array.small, large=similarity_array.large),
    "window-rank": UnitCases(small=window_rank.small, large=window_rank.large),
    "budget-select": UnitCases(small=budget_select.small, large=budget_select.large),
    "window-assign": UnitCases(small=window_assign.small, large=window_assign.large),
    "pair-writer": UnitCases(small=pair_writer.small, large=pair_writer.large),
    "datm": UnitCases(small=datm.small, large=datm.large),
    "gather": UnitCases(small=restore_path.small_gather, large=restore_path.large_gather),
    "restore": UnitCases(small=restore_path.small_restore, large=restore_path.large_restore),
}
"""By the unit's name, in the order in which data meets them."""
