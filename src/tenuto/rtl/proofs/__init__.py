"""Properties of the units, one file a unit; `ALL` is what `tenuto rtl prove` proves."""

from tenuto.rtl.proofs import (
    column_sort,
    gather,
    lane_place,
    leading_one,
    log_dot,
    offers,
    row_select,
    window_match,
)

ALL = (
    *leading_one.PROOFS,
    *log_dot.PROOFS,
    *row_select.PROOFS,
    *column_sort.PROOFS,
    *lane_place.PROOFS,
    *window_match.PROOFS,
    *gather.PROOFS,
    *offers.PROOFS,
)
"""Every proof, in the order of the units."""
