"""Condense and sort: the columns that are needed at all, the fullest first."""

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import conmerge_timing
from tenuto.rtl.log_dot import tree_sum


class ColumnSort(wiring.Component):
    """Leave out empty columns and sort the others by population, ties by column.

    A counting sort: columns are stored and counted as they come; the counts become the places
    where each population begins, the largest first; every stored column goes to its place; the
    places are read out.

    Throughput: one block of rows at a time, see `conmerge_timing.ColumnSort.first_output_cycle`.

    Parameters:
        size: Rows of a block and the most columns.

    Members:
        i: In, stream of {bits: needed outputs of a column, last: of the block}, columns in order.
        o: Out, stream of {bits, column, last}. A block without a needed output gives one transfer
            with `bits` 0.

    Source: EXION (arXiv 2501.05680), condensing; the sort is reconstructed.
    """

    def __init__(self, size: conmerge_timing.ColumnSort) -> None:
        self.size = size
        column = data.StructLayout({"bits": size.rows, "last": 1})
        super().__init__(
            {"i": In(stream.Signature(column)), "o": Out(stream.Signature(sorted_layout(size)))}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        entry = data.StructLayout({"bits": size.rows, "column": range(size.max_columns)})
        for name in ("found", "placed"):
            m.submodules[name] = memory.Memory(shape=entry, depth=size.max_columns, init=[])
        found_write = m.submodules.found.write_port()
        found_read = m.submodules.found.read_port()
        placed_write = m.submodules.placed.write_port()
        placed_read = m.submodules.placed.read_port()
        count = Signal(range(size.max_columns + 1))
        place = Signal(range(size.max_columns + 1))
        next_place = Signal.like(place)
        starts = Array(
            Signal(range(size.max_columns + 1), name=f"start{n}") for n in range(size.rows + 1)
        )
        m.d.comb += [
            next_place.eq(place),
            found_read.addr.eq(next_place),
            placed_read.addr.eq(next_place),
        ]
        m.d.sync += place.eq(next_place)
        with m.FSM():
            with m.State("LOAD"):
                self._load(m, found_write, count, starts)
            with m.State("PREFIX"):
                self._prefix(m, count, starts)
            with m.State("SCATTER"):
                start = starts[population(found_read.data.bits)]
                m.d.comb += [
                    placed_write.addr.eq(start),
                    placed_write.data.eq(found_read.data),
                    placed_write.en.eq(1),
                    next_place.eq(place + 1),
                ]
                m.d.sync += start.eq(start + 1)
                with m.If(place + 1 == count):
                    m.d.comb += next_place.eq(0)
                    m.next = "TURN"
            with m.State("TURN"):
                m.d.sync += [start.eq(0) for start in starts]
                m.next = "EMIT"
            with m.State("EMIT"):
                self._emit(m, placed_read, count, place, next_place)
        return m

    def _load(self, m: Module, write, count: Signal, starts: Array) -> None:
        """Store a column that is needed and count its population."""
        column = Signal(range(self.size.max_columns))
        is_needed = self.i.p.bits.any()
        m.d.comb += [
            self.i.ready.eq(1),
            write.addr.eq(count),
            write.data.bits.eq(self.i.p.bits),
            write.data.column.eq(column),
            write.en.eq(self.i.valid & is_needed),
        ]
        with m.If(self.i.valid):
            m.d.sync += column.eq(Mux(self.i.p.last, 0, column + 1))
            with m.If(is_needed):
                number = starts[population(self.i.p.bits)]
                m.d.sync += [count.eq(count + 1), number.eq(number + 1)]
            with m.If(self.i.p.last):
                m.next = "PREFIX"

    def _prefix(self, m: Module, count: Signal, starts: Array) -> None:
        """Turn one population's count into the place where it begins, the largest first."""
        rank = Signal(range(self.size.rows + 1), init=self.size.rows)
        total = Signal(range(self.size.max_columns + 1))
        m.d.sync += [starts[rank].eq(total), total.eq(total + starts[rank]), rank.eq(rank - 1)]
        with m.If(rank == 1):
            m.d.sync += [rank.eq(self.size.rows), total.eq(0)]
            m.next = "SCATTER"
            with m.If(count == 0):
                m.next = "TURN"

    def _emit(self, m: Module, read, count: Signal, place: Signal, next_place: Signal) -> None:
        is_last = place + 1 >= count
        m.d.comb += [
            self.o.valid.eq(1),
            self.o.p.bits.eq(Mux(count == 0, 0, read.data.bits)),
            self.o.p.column.eq(Mux(count == 0, 0, read.data.column)),
            self.o.p.last.eq(is_last),
        ]
        with m.If(self.o.ready):
            m.d.comb += next_place.eq(Mux(is_last, 0, place + 1))
            with m.If(is_last):
                m.d.sync += count.eq(0)
                m.next = "LOAD"


def population(bits: Value) -> Value:
    """Return the number of ones."""
    return tree_sum(list(bits))


def sorted_layout(size: conmerge_timing.ColumnSort) -> data.StructLayout:
    """Return the payload of a sorted column."""
    return data.StructLayout({"bits": size.rows, "column": range(size.max_columns), "last": 1})
