"""The core of the DATM engine: the tokens of one window in the order of their gains."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing
from tenuto.rtl.log_dot import tree_sum


class WindowRank(wiring.Component):
    """Put the tokens of a window in the order in which they would become destinations.

    The window's similarities are held by columns. For each token all columns pass the gain lanes,
    one a cycle: subtract what is covered, clip at 0, add up; the largest gain of a token not yet
    taken wins, ties to the lowest position. Then the winner's column raises the coverage. Gains
    never grow, so any budget for the window takes a beginning of this order.

    Throughput: one window at a time, `datm_timing.WindowRank.cycles`.

    Parameters:
        size: Tokens of a window, and bits of a similarity.

    Members:
        i: In, stream of columns of the similarity matrix, tokens x unsigned(bits), in order.
        o: Out, stream of {gain, position}, each token of the window once.

    Source: stage S4 of DATM (ORBIS, arXiv 2605.22015) as `golden.datm` reconstructs it.
    """

    def __init__(self, size: datm_timing.WindowRank) -> None:
        self.size = size
        column = data.ArrayLayout(size.bits, size.tokens)
        step = data.StructLayout({"gain": size.gain_bits, "position": range(size.tokens)})
        super().__init__({"i": In(stream.Signature(column)), "o": Out(stream.Signature(step))})

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        column = data.ArrayLayout(size.bits, size.tokens)
        m.submodules.columns = columns = memory.Memory(shape=column, depth=size.tokens, init=[])
        self.write, self.read = columns.write_port(), columns.read_port()
        self.position = Signal(range(size.tokens + 1))
        self.taken = Signal(size.tokens)
        self.covered = Signal(column)
        self.is_scanning, self.is_taking = Signal(), Signal()
        best, largest = self._best(m)
        with m.FSM():
            with m.State("LOAD"):
                self._load(m)
            with m.State("SCAN"):
                m.d.comb += [self.is_scanning.eq(1), self.read.addr.eq(self.position)]
                m.d.sync += self.position.eq(self.position + 1)
                with m.If(self.position == size.tokens - 1):
                    m.d.sync += self.position.eq(0)
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.sync += self.position.eq(self.position + 1)
                with m.If(self.position == datm_timing.WindowRank.DRAIN_CYCLES - 1):
                    m.d.sync += self.position.eq(0)
                    m.next = "TAKE"
            with m.State("TAKE"):
                self._take(m, best, largest)
            with m.State("RAISE"):
                for token in range(size.tokens):
                    likeness, covered = self.read.data[token], self.covered[token]
                    m.d.sync += covered.eq(Mux(likeness > covered, likeness, covered))
                m.next = "SCAN"
        return m

    def _load(self, m: Module) -> None:
        m.d.comb += [
            self.i.ready.eq(1),
            self.write.addr.eq(self.position),
            self.write.data.eq(self.i.payload),
            self.write.en.eq(self.i.valid),
        ]
        with m.If(self.i.valid):
            m.d.sync += self.position.eq(self.position + 1)
            with m.If(self.position == self.size.tokens - 1):
                m.d.sync += [self.position.eq(0), self.taken.eq(0), self.covered.eq(0)]
                m.next = "SCAN"

    def _best(self, m: Module) -> tuple[Signal, Signal]:
        """Gain lanes and arg-max: three stages behind the memory; return position and gain."""
        size = self.size
        gains = []
        for token in range(size.tokens):
            gain = Signal(size.bits, name=f"gain{token}")
            likeness, covered = self.read.data[token], self.covered[token]
            m.d.sync += gain.eq(Mux(likeness > covered, likeness - covered, 0))
            gains.append(gain)
        total = Signal(size.gain_bits)
        m.d.sync += total.eq(tree_sum(gains))
        valid, position = self._notes(m)
        best, largest, has_best = Signal(range(size.tokens)), Signal.like(total), Signal()
        is_open = valid & ~self.taken.bit_select(position, 1)
        with m.If(is_open & (~has_best | (total > largest))):
            m.d.sync += [best.eq(position), largest.eq(total), has_best.eq(1)]
        with m.If(self.is_taking):
            m.d.sync += has_best.eq(0)
        return best, largest

    def _notes(self, m: Module) -> tuple[Value, Value]:
        """Which column the arg-max sees: read three cycles ago."""
        valid, position = self.is_scanning, self.position
        for stage in range(datm_timing.WindowRank.DRAIN_CYCLES):
            held = Signal(name=f"valid{stage}"), Signal.like(self.position, name=f"position{stage}")
            m.d.sync += [held[0].eq(valid), held[1].eq(position)]
            valid, position = held
        return valid, position[: (self.size.tokens - 1).bit_length()]

    def _take(self, m: Module, best: Signal, largest: Signal) -> None:
        """Hand out the winner and read its column."""
        m.d.comb += [
            self.o.valid.eq(1),
            self.o.p.gain.eq(largest),
            self.o.p.position.eq(best),
            self.read.addr.eq(best),
            self.is_taking.eq(self.o.ready),
        ]
        taken = (self.taken | (1 << best))[: self.size.tokens]
        with m.If(self.o.ready):
            m.d.sync += self.taken.eq(taken)
            m.next = "RAISE"
            with m.If(taken.all()):
                m.next = "LOAD"
