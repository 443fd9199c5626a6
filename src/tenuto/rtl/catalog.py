"""The units at the sizes of the accelerators: what `emit` writes and `area` synthesizes."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.lib import wiring

from tenuto import conmerge_timing, datm_timing, hardware_timing
from tenuto.rtl.budget_select import BudgetSelect
from tenuto.rtl.column_sort import ColumnSort
from tenuto.rtl.conmerge import ConMerge
from tenuto.rtl.dot_unit import DotUnit
from tenuto.rtl.eager_row import EagerRow
from tenuto.rtl.gather import GatherAddresses
from tenuto.rtl.lane_place import LanePlace
from tenuto.rtl.log_dot import LogDot
from tenuto.rtl.pair_writer import PairWriter
from tenuto.rtl.quantize import Quantize
from tenuto.rtl.restore import Restore
from tenuto.rtl.row_select import RowSelect
from tenuto.rtl.similarity_array import SimilarityArray
from tenuto.rtl.window_assign import WindowAssign
from tenuto.rtl.window_rank import WindowRank

_HEAD = hardware_timing.LogDot(lanes=24, bits=12, max_length=128)
_ROW = hardware_timing.EagerRow(dot=_HEAD, max_keys=256, num_kept=32)
_CONMERGE = conmerge_timing.ConMerge(rows=16, lanes=16, merge_limit=3, max_columns=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A unit at a size.

    Attributes:
        make: Makes the component.
        used_in: Accelerators of `tenuto simulate` that have the unit at this size.
        size: The size, in words.
    """

    make: Callable[[], wiring.Component]
    used_in: tuple[str, ...]
    size: str


_ARRAY, _HALF_ARRAY = (
    datm_timing.SimilarityArray(tokens=tokens, channels=1920, columns=1) for tokens in (8, 4)
)
_RANK = datm_timing.WindowRank(tokens=16)
_BUDGET = datm_timing.BudgetSelect(rank=_RANK, num_windows=1097, num_destinations=4388)

_EXION = ("exion4", "exion24", "exion42", "tenuto1")
_ORBIS = ("orbis", "tenuto1")

UNITS = {
    "log-dot": Entry(
        make=lambda: LogDot(_HEAD),
        used_in=_EXION,
        size="24 lanes of 12 bits, heads of up to 128 channels",
    ),
    "row-select": Entry(
        make=lambda: RowSelect(_ROW.select),
        used_in=_EXION,
        size=f"32 kept of 256 keys, scores of {_ROW.select.bits} bits",
    ),
    "eager-row": Entry(
        make=lambda: EagerRow(_ROW), used_in=_EXION, size="log-dot and row-select as above"
    ),
    "column-sort": Entry(
        make=lambda: ColumnSort(_CONMERGE.sort), used_in=_EXION, size="16 rows, 1,024 columns"
    ),
    "lane-place": Entry(
        make=lambda: LanePlace(_CONMERGE), used_in=_EXION, size="16 rows, 3 columns a lane"
    ),
    "conmerge": Entry(
        make=lambda: ConMerge(_CONMERGE),
        used_in=_EXION,
        size="16 x 16 units, up to 3 tiles merged, 1,024 columns",
    ),
    "dot-unit": Entry(
        make=lambda: DotUnit(conmerge_timing.DotArray()),
        used_in=_EXION,
        size="24 products of 12 bits, 3 columns a lane; an array has 256",
    ),
    "quantize": Entry(
        make=lambda: Quantize(datm_timing.Quantize()),
        used_in=_ORBIS,
        size="rows of up to 4,096 values to 8 bits",
    ),
    "similarity-array": Entry(
        make=lambda: SimilarityArray(_ARRAY),
        used_in=_ORBIS,
        size="windows of 8 tokens, 1,920 channels, a column at a time",
    ),
    "similarity-array-4": Entry(
        make=lambda: SimilarityArray(_HALF_ARRAY),
        used_in=_ORBIS,
        size="windows of 4 tokens, 1,920 channels, a column at a time",
    ),
    "window-rank": Entry(
        make=lambda: WindowRank(_RANK),
        used_in=_ORBIS,
        size="windows of 16 tokens",
    ),
    "budget-select": Entry(
        make=lambda: BudgetSelect(_BUDGET),
        used_in=_ORBIS,
        size="1,097 windows of 16 tokens, 4,388 destinations, digits of 8 bits",
    ),
    "window-assign": Entry(
        make=lambda: WindowAssign(datm_timing.WindowAssign(tokens=_RANK.tokens)),
        used_in=_ORBIS,
        size="windows of 16 tokens",
    ),
    "pair-writer": Entry(
        make=lambda: PairWriter(datm_timing.PairWriter()),
        used_in=_ORBIS,
        size="32,768 tokens",
    ),
    "gather": Entry(
        make=lambda: GatherAddresses(hardware_timing.Gather()),
        used_in=_ORBIS,
        size="words of 32 bits, 32,768 tokens",
    ),
    "restore": Entry(
        make=lambda: Restore(hardware_timing.Restore()),
        used_in=_ORBIS,
        size="16 lanes of 16 bits, 128 rows of 120 beats",
    ),
}
"""By name; the ORBIS, EXION and tenuto1 instances share their units' sizes."""
