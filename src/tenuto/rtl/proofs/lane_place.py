"""Merging a lane loses nothing, overwrites nothing, and gives no unit two outputs."""

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tenuto import conmerge_timing
from tenuto.rtl.column_sort import population
from tenuto.rtl.lane_place import LanePlace, lane_layout, line_layout
from tenuto.rtl.proofs.stream_rules import assume_running
from tenuto.rtl.prove import Proof

_SIZE = conmerge_timing.ConMerge(rows=3, lanes=2, merge_limit=3, max_columns=4)


class _OneLane(wiring.Component):
    """Any lane and any lines; they stay as they are but for what the unit itself changes."""

    def __init__(self) -> None:
        super().__init__(
            {
                "is_running": In(1),
                "before": In(lane_layout(_SIZE)),
                "needed": In(_SIZE.rows),
                "member": In(range(_SIZE.merge_limit)),
                "lines": In(line_layout(_SIZE)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = LanePlace(_SIZE)
        assume_running(m)
        m.d.comb += [
            dut.is_running.eq(self.is_running),
            dut.before.eq(self.before),
            dut.needed.eq(self.needed),
            dut.has_column.eq(1),
            dut.member.eq(self.member),
            dut.lines.eq(self.lines),
        ]
        m.d.comb += Assume(self.member < _SIZE.merge_limit)
        for unit in self.before.units:  # earlier members' or nobody's
            idles = Value.cast(unit) == 0
            m.d.comb += Assume(Mux(unit.is_busy, unit.member < self.member, idles))
        self._assume_unchanged_until_done(m, dut)
        self._assert_all_placed(m, dut)
        return m

    def _assume_unchanged_until_done(self, m: Module, dut: LanePlace) -> None:
        goes_on = Signal()
        inputs = Cat(Value.cast(self.before), self.needed, self.member)
        inputs_were = Signal(len(inputs))
        lines_were = Signal(len(Value.cast(dut.lines_after)))
        m.d.sync += [
            goes_on.eq(self.is_running & ~dut.is_done & ~dut.is_stuck),
            inputs_were.eq(inputs),
            lines_were.eq(dut.lines_after),
        ]
        same = (inputs == inputs_were) & (Value.cast(self.lines) == lines_were)
        m.d.comb += Assume(~goes_on | (self.is_running & same))

    def _assert_all_placed(self, m: Module, dut: LanePlace) -> None:
        is_new = Cat(
            after.is_busy & ~before.is_busy
            for after, before in zip(dut.after.units, self.before.units, strict=True)
        )
        m.d.comb += Assert(~dut.is_done | (population(is_new) == population(self.needed)))
        for line in range(_SIZE.rows):
            before, after = self.before.units[line], dut.after.units[line]
            carried, carries = self.lines[line], dut.lines_after[line]
            kept = Value.cast(after) == Value.cast(before)
            m.d.comb += [
                Assert(~before.is_busy | kept),
                Assert(~is_new[line] | (after.member == self.member)),
                Assert(~carried.is_some | (Value.cast(carries) == Value.cast(carried))),
                Assert(~(is_new[line] & after.is_moved) | carries.is_some),
            ]
        for row in range(_SIZE.rows):
            makers = Cat(
                is_new[line]
                & (Mux(dut.after.units[line].is_moved, dut.lines_after[line].row, line) == row)
                for line in range(_SIZE.rows)
            )
            m.d.comb += Assert(~dut.is_done | (population(makers) == self.needed[row]))


PROOFS = (
    Proof(
        name="conmerge-lane",
        claim="when a lane is done every needed output has exactly one new unit, no busy unit "
        "and no alternative row was overwritten (3 rows, any lane before; a lane takes 3 cycles "
        "at most)",
        top=_OneLane,
        depth=4,
        is_bounded=True,
    ),
)
