"""Condensing drops only empty columns; sorting keeps ties in the order of the columns."""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib.wiring import In

from tenuto import conmerge_timing
from tenuto.rtl.column_sort import ColumnSort, population
from tenuto.rtl.proofs.stream_rules import Observed
from tenuto.rtl.prove import Proof

_SIZE = conmerge_timing.ColumnSort(rows=2, max_columns=2)


class _Watched(Observed):
    """One column, any one, is followed through the first block."""

    def __init__(self) -> None:
        super().__init__(ColumnSort(_SIZE), watched=In(range(_SIZE.max_columns)))

    def observe(self, m: Module) -> None:
        self._assert_watched_leaves_once(m)
        self._assert_sorted(m)

    def _assert_watched_leaves_once(self, m: Module) -> None:
        dut = self.dut
        column = Signal(range(_SIZE.max_columns + 1))
        is_loaded, bits = Signal(), Signal(_SIZE.rows)
        watched_was, is_second_cycle = Signal.like(self.watched), Signal()
        m.d.sync += [watched_was.eq(self.watched), is_second_cycle.eq(1)]
        m.d.comb += [
            Assume(~is_second_cycle | (self.watched == watched_was)),
            Assume(~self.i.valid | self.i.p.last | (column != _SIZE.max_columns - 1)),
        ]
        with m.If(dut.i.valid & dut.i.ready & ~is_loaded):
            m.d.sync += [column.eq(column + 1), is_loaded.eq(self.i.p.last)]
            with m.If(column == self.watched):
                m.d.sync += bits.eq(self.i.p.bits)
        times_seen, is_over = Signal(2), Signal()
        leaves = dut.o.valid & dut.o.ready & ~is_over
        is_watched = leaves & dut.o.p.bits.any() & (dut.o.p.column == self.watched)
        with m.If(leaves):
            m.d.sync += [times_seen.eq(times_seen + is_watched), is_over.eq(dut.o.p.last)]
        m.d.comb += [
            Assert(~is_watched | (dut.o.p.bits == bits)),
            Assert(~(leaves & dut.o.p.last) | (times_seen + is_watched == bits.any())),
        ]

    def _assert_sorted(self, m: Module) -> None:
        o = self.dut.o
        is_later, ones, column = Signal(), Signal(range(_SIZE.rows + 1)), Signal.like(o.p.column)
        now = population(o.p.bits)
        with m.If(o.valid & o.ready):
            m.d.sync += [is_later.eq(~o.p.last), ones.eq(now), column.eq(o.p.column)]
        in_order = Mux(now == ones, o.p.column > column, now < ones)
        m.d.comb += Assert(~(o.valid & is_later) | in_order)


PROOFS = (
    Proof(
        name="conmerge-sort",
        claim="every needed column of a block leaves exactly once with its bits, the fullest "
        "first, ties by rising column, under any stalls (2 rows, 2 columns)",
        top=_Watched,
        depth=10,
        is_bounded=True,
    ),
)
