"""The sparse-dense array (SDUE slice): executes a merged tile, dense ones among them."""

from amaranth.hdl import Array, Module, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import conmerge_timing
from tenuto.rtl.dot_unit import DotUnit


class DotArray(wiring.Component):
    """Run one tile after the other on rows x lanes dot-product units.

    A row line carries its own input row and, by a selector over the block's rows, the alternative
    one of the merge plan; a unit takes either, and any of its lane's weight columns. A dense tile
    is a plan in which every unit takes its own row and its lane's first column.

    Latency: 4 cycles from a tile's last beat to its outputs. Throughput: 1 beat a cycle, so a tile
    takes ceil(depth / dot_length) cycles, merged or not.

    Parameters:
        size: Rows, lanes, columns a lane holds, and operands a cycle.

    Members:
        i: In, stream of {inputs: of every row, weights: of every lane's columns, units: of every
            lane, what its rows do, lines: alternative row of each line, last: of the tile}.
        o: Out, stream of sums, rows within lanes; 0 where a unit idles.

    Source: EXION (arXiv 2501.05680): 16 x 16 units that switch input and weight by a conflict
    vector, as `golden.conmerge_array` defines the reconstruction.
    """

    def __init__(self, size: conmerge_timing.DotArray) -> None:
        self.size = size
        operands = data.ArrayLayout(signed(size.bits), size.dot_length)
        columns = data.ArrayLayout(operands, size.merge_limit)
        unit = data.StructLayout({"is_busy": 1, "member": range(size.merge_limit), "is_moved": 1})
        beat = data.StructLayout(
            {
                "inputs": data.ArrayLayout(operands, size.rows),
                "weights": data.ArrayLayout(columns, size.lanes),
                "units": data.ArrayLayout(data.ArrayLayout(unit, size.rows), size.lanes),
                "lines": data.ArrayLayout(range(size.rows), size.rows),
                "last": 1,
            }
        )
        sums = data.ArrayLayout(signed(size.result_bits), size.rows * size.lanes)
        super().__init__({"i": In(stream.Signature(beat)), "o": Out(stream.Signature(sums))})

    def elaborate(self, platform) -> Module:
        m = Module()
        moves = Signal()
        m.d.comb += [moves.eq(~self.o.valid | self.o.ready), self.i.ready.eq(moves)]
        adds, last = self._notes(m, moves)
        with m.If(moves):
            m.d.sync += self.o.valid.eq(adds & last)
        rows = Array(Value.cast(row) for row in self.i.p.inputs)
        for line in range(self.size.rows):
            alternative = Signal.like(Value.cast(self.i.p.inputs[line]), name=f"alternative{line}")
            m.d.comb += alternative.eq(rows[self.i.p.lines[line]])
            for lane in range(self.size.lanes):
                m.submodules[f"unit{line}_{lane}"] = unit = DotUnit(self.size)
                plan = self.i.p.units[lane][line]
                m.d.comb += [
                    unit.moves.eq(moves),
                    unit.own.eq(self.i.p.inputs[line]),
                    Value.cast(unit.alternative).eq(alternative),
                    unit.weights.eq(self.i.p.weights[lane]),
                    unit.is_busy.eq(plan.is_busy),
                    unit.member.eq(plan.member),
                    unit.is_moved.eq(plan.is_moved),
                    unit.adds.eq(adds),
                    unit.last.eq(last),
                    self.o.payload[lane * self.size.rows + line].eq(unit.sum),
                ]
        return m

    def _notes(self, m: Module, moves: Signal) -> tuple[Value, Value]:
        """What goes beside the data through the first three stages."""
        valid, last = self.i.valid, self.i.p.last
        for stage in range(3):
            held = Signal(name=f"valid{stage}"), Signal(name=f"last{stage}")
            with m.If(moves):
                m.d.sync += [held[0].eq(valid), held[1].eq(last)]
            valid, last = held
        return valid, last
