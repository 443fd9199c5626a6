"""The ConMerge unit: from the needed outputs of a block to merged tiles."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import conmerge_timing
from tenuto.rtl.column_sort import ColumnSort
from tenuto.rtl.tile_merge import TileMerge, merged_layout


class ConMerge(wiring.Component):
    """Condense, sort and merge the columns of one block of rows after the other.

    While a block is merged the next one is loaded and sorted.

    Throughput: see `conmerge_timing.ConMerge.cycles`.

    Parameters:
        size: Rows, lanes, most tiles in one and the most columns.

    Members:
        i: In, stream of {bits: needed outputs of a column, last: of the block}, columns in order.
        o: Out, stream of lanes of merged tiles, as `TileMerge` makes them.

    Source: EXION (arXiv 2501.05680), as `golden.conmerge` defines the reconstruction.
    """

    def __init__(self, size: conmerge_timing.ConMerge) -> None:
        self.size = size
        column = data.StructLayout({"bits": size.rows, "last": 1})
        super().__init__(
            {"i": In(stream.Signature(column)), "o": Out(stream.Signature(merged_layout(size)))}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.sort = sort = ColumnSort(self.size.sort)
        m.submodules.merge = merge = TileMerge(self.size)
        wiring.connect(m, wiring.flipped(self.i), sort.i)
        wiring.connect(m, sort.o, merge.i)
        wiring.connect(m, merge.o, wiring.flipped(self.o))
        return m
