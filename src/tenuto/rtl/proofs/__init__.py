"""Properties of the units, one file a unit; `ALL` is what `tenuto rtl prove` proves."""

from tenuto.rtl.proofs import (
    budget_select,
    column_sort,
    gather,
    lane_place,
    leading_one,
    log_dot,
    offers,
    pair_writer,
    row_select,
    window_rank,
)

ALL = (
    *leading_one.PROOFS,
    *log_dot.PROOFS,
    *row_select.PROOFS,
    *column_sort.PROOFS,
    *lane_place.PROOFS,
    *window_rank.PROOFS,
    *budget_select.PROOFS,
    *pair_writer.PROOFS,
    *gather.PROOFS,
    *offers.PROOFS,
)
"""Every proof, in the order of the units."""
