"""Cases of each unit: small ones for the Amaranth simulator, large ones for compiled C++."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tenuto.rtl.cases import (
    conmerge,
    datm,
    dot_array,
    eager,
    log_dot,
    loss_threshold,
    restore_path,
    similarity_array,
    window_match,
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
    "similarity-array": UnitCases(small=similarity_array.small, large=similarity_array.large),
    "window-match": UnitCases(small=window_match.small, large=window_match.large),
    "loss-threshold": UnitCases(small=loss_threshold.small, large=loss_threshold.large),
    "datm": UnitCases(small=datm.small, large=datm.large),
    "gather": UnitCases(small=restore_path.small_gather, large=restore_path.large_gather),
    "restore": UnitCases(small=restore_path.small_restore, large=restore_path.large_restore),
}
"""By the unit's name, in the order in which data meets them."""
