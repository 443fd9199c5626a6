"""The whole ConMerge unit: each needed output of a block leaves exactly once, and no other."""

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tenuto import conmerge_timing
from tenuto.rtl.column_sort import population
from tenuto.rtl.conmerge import ConMerge
from tenuto.rtl.proofs.stream_rules import assume_running, assume_source_holds
from tenuto.rtl.prove import Proof

_SIZE = conmerge_timing.ConMerge(rows=2, lanes=2, merge_limit=2, max_columns=4)
_NUM_COLUMNS = 3


class _Watched(wiring.Component):
    """One output, any one, is followed through the first block."""

    def __init__(self) -> None:
        self.dut = ConMerge(_SIZE)
        super().__init__(
            {
                "i": self.dut.signature.members["i"],
                "row": In(range(_SIZE.rows)),
                "column": In(range(_NUM_COLUMNS)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        assume_running(m)
        wiring.connect(m, wiring.flipped(self.i), dut.i)
        m.d.comb += dut.o.ready.eq(1)
        assume_source_holds(m, self.i)
        for watched, name in ((self.row, "row"), (self.column, "column")):
            was, has_begun = Signal.like(watched, name=f"{name}_was"), Signal(name=f"{name}_begun")
            m.d.sync += [was.eq(watched), has_begun.eq(1)]
            m.d.comb += Assume(~has_begun | (watched == was))
        loaded, is_loaded, is_needed = Signal(range(_NUM_COLUMNS + 1)), Signal(), Signal()
        m.d.comb += Assume(
            (self.i.valid == ~is_loaded)  # no gaps before the block, nothing after it
            & (self.i.p.last == (loaded == _NUM_COLUMNS - 1))
            & (self.column < _NUM_COLUMNS)
        )
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += [loaded.eq(loaded + 1), is_loaded.eq(self.i.p.last)]
            with m.If(loaded == self.column):
                m.d.sync += is_needed.eq(self.i.p.bits.bit_select(self.row, 1))
        made, seen = population(self._makes_watched(m)), Signal(2)
        with m.If(dut.o.valid):
            m.d.sync += seen.eq(Mux(dut.o.p.last, 0, seen + made))
            m.d.comb += [
                Assert(seen + made <= 1),
                Assert(~dut.o.p.last | (seen + made == is_needed)),
            ]
        return m

    def _makes_watched(self, m: Module) -> Value:
        """Return which units of the lane make the watched output."""
        lane, lines = self.dut.o.p.lane, self.dut.o.p.lines
        made = Signal(_SIZE.rows)
        for line, unit in enumerate(lane.units):
            row = Mux(unit.is_moved, lines[line].row, line)
            column = Mux(unit.member, lane.columns[1].column, lane.columns[0].column)
            is_some = Mux(unit.member, lane.columns[1].is_some, lane.columns[0].is_some)
            m.d.comb += [
                made[line].eq(unit.is_busy & (row == self.row) & (column == self.column)),
                Assert(~(self.dut.o.valid & unit.is_busy) | is_some),
            ]
        return Cat(made)


PROOFS = (
    Proof(
        name="conmerge-outputs",
        claim="each needed output of a block is made by exactly one unit of its merged tiles, and "
        "no other output is (2 rows, 3 columns, 2 lanes, up to 2 tiles merged; one block without "
        "stalls, which ends within the bound)",
        top=_Watched,
        depth=34,
        is_bounded=True,
    ),
)
