"""One lane of one try to merge: whose output each of its units makes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tenuto import conmerge_timing
from tenuto.rtl.leading_one import binary_from_one_hot


class LanePlace(wiring.Component):
    """Give a column's needed outputs to the free units of a lane, moved ones one a cycle.

    Outputs whose own unit is free take it in the first cycle. Each other one, rows in rising
    order, moves to a free unit: the lowest whose line carries its row already, or the lowest whose
    line carries no alternative row yet.

    Latency: max(1, outputs that move) cycles to `is_done`, or the cycle of the first that finds no
    unit to `is_stuck`. Inputs stay unchanged until then.

    Parameters:
        size: Rows, members and columns.

    Members:
        is_running: In, the inputs are valid.
        before: In, the lane as merged so far.
        needed: In, rows of the column that are needed.
        column, has_column: In, which column joins the lane, if one does.
        member: In, the place that the column takes in the lane.
        lines: In, alternative rows so far, the lane's own changes included.
        after: Out, with `is_done` the lane with the column.
        lines_after: Out, alternative rows after this cycle.
        is_done, is_stuck: Out, end of the lane, well or not.

    Source: `golden.conmerge.pack`, as reconstructed from EXION (arXiv 2501.05680).
    """

    def __init__(self, size: conmerge_timing.ConMerge) -> None:
        self.size = size
        super().__init__(
            {
                "is_running": In(1),
                "before": In(lane_layout(size)),
                "needed": In(size.rows),
                "column": In(range(size.max_columns)),
                "has_column": In(1),
                "member": In(range(size.merge_limit + 1)),
                "lines": In(line_layout(size)),
                "after": Out(lane_layout(size)),
                "lines_after": Out(line_layout(size)),
                "is_done": Out(1),
                "is_stuck": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        layout = lane_layout(self.size)
        is_begun = Signal()
        begun = Signal(layout)
        begun_waiting = Signal(self.size.rows)
        now = Signal(layout)
        waiting = Signal(self.size.rows)
        busy = Cat(unit.is_busy for unit in self.before.units)
        m.d.comb += [
            now.eq(Mux(is_begun, begun, self._with_own(m))),
            waiting.eq(Mux(is_begun, begun_waiting, self.needed & busy)),
        ]
        left = Signal(self.size.rows)
        row = Signal(self.size.rows)
        m.d.comb += [
            row.eq(waiting & (~waiting + 1)),
            left.eq(waiting & ~row),
            self.after.eq(now),
            self.lines_after.eq(self.lines),
            self.is_done.eq(self.is_running & ~left.any() & ~self.is_stuck),
        ]
        with m.If(self.is_running & waiting.any()):
            self._move(m, now, row)
        m.d.sync += [
            is_begun.eq(self.is_running & left.any() & ~self.is_stuck),
            begun.eq(self.after),
            begun_waiting.eq(left),
        ]
        return m

    def _with_own(self, m: Module) -> Value:
        """Return the lane with the outputs whose own unit is free, and with the column."""
        lane = Signal(lane_layout(self.size), name="with_own")
        m.d.comb += lane.eq(self.before)
        for line in range(self.size.rows):
            with m.If(self.needed[line] & ~self.before.units[line].is_busy):
                m.d.comb += [
                    lane.units[line].is_busy.eq(1),
                    lane.units[line].member.eq(self.member),
                ]
        for place in range(self.size.merge_limit):
            with m.If(self.has_column & (self.member == place)):
                m.d.comb += [
                    lane.columns[place].is_some.eq(1),
                    lane.columns[place].column.eq(self.column),
                ]
        return lane

    def _move(self, m: Module, now: Signal, row: Signal) -> None:
        """Give the row to the lane's first fitting unit, or say that there is none."""
        position = Signal(range(self.size.rows))
        m.d.comb += position.eq(binary_from_one_hot(row))
        free = ~Cat(unit.is_busy for unit in now.units)
        carries = Cat(line.is_some & (line.row == position) for line in self.lines)
        is_unset = Cat(~line.is_some for line in self.lines)
        same, unset = free & carries, free & is_unset
        fitting = Mux(same.any(), same, unset)
        chosen = fitting & (~fitting + 1)
        m.d.comb += self.is_stuck.eq(~fitting.any())
        for line in range(self.size.rows):
            with m.If(chosen[line]):
                m.d.comb += [
                    self.after.units[line].is_busy.eq(1),
                    self.after.units[line].member.eq(self.member),
                    self.after.units[line].is_moved.eq(1),
                    self.lines_after[line].is_some.eq(1),
                    self.lines_after[line].row.eq(position),
                ]


def lane_layout(size: conmerge_timing.ConMerge) -> data.StructLayout:
    """Return what a lane's units do and which columns it holds."""
    unit = data.StructLayout({"is_busy": 1, "member": range(size.merge_limit), "is_moved": 1})
    column = data.StructLayout({"is_some": 1, "column": range(size.max_columns)})
    return data.StructLayout(
        {
            "units": data.ArrayLayout(unit, size.rows),
            "columns": data.ArrayLayout(column, size.merge_limit),
        }
    )


def line_layout(size: conmerge_timing.ConMerge) -> data.ArrayLayout:
    """Return the alternative row of each line."""
    line = data.StructLayout({"is_some": 1, "row": range(size.rows)})
    return data.ArrayLayout(line, size.rows)
