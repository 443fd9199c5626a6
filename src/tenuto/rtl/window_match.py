"""The core of the DATM engine: destinations of one window, and each token's best one."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing
from tenuto.rtl.log_dot import tree_sum


class WindowMatch(wiring.Component):
    """Choose destinations greedily by their gain in coverage, and assign every token to one.

    The window's similarities are held by columns. For each destination all columns pass the gain
    lanes, one a cycle: subtract what is covered, clip at 0, add up; the largest gain wins, ties to
    the lowest position. Then the winner's column raises the coverage, and with it each token's
    nearest destination, ties to the lowest position again.

    Latency: see `datm_timing.WindowMatch.cycles`. Throughput: one window at a time.

    Parameters:
        size: Tokens of a window, destinations, and bits of a similarity.

    Members:
        i: In, stream of columns of the similarity matrix, tokens x unsigned(bits), in order.
        o: Out, stream of one transfer a token, in order: {is_destination, nearest: position of
            the most similar destination, likeness: similarity to it}.

    Source: stages S4 and S6 of DATM (ORBIS, arXiv 2605.22015) as `golden.datm` reconstructs it,
    with a budget for each window.
    """

    def __init__(self, size: datm_timing.WindowMatch) -> None:
        self.size = size
        column = data.ArrayLayout(size.bits, size.tokens)
        match = data.StructLayout(
            {"is_destination": 1, "nearest": range(size.tokens), "likeness": size.bits}
        )
        super().__init__({"i": In(stream.Signature(column)), "o": Out(stream.Signature(match))})

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        column = data.ArrayLayout(size.bits, size.tokens)
        m.submodules.columns = columns = memory.Memory(shape=column, depth=size.tokens, init=[])
        self.write, self.read = columns.write_port(), columns.read_port()
        self.position = Signal(range(size.tokens + 1))
        self.taken = Signal(range(size.destinations + 1))
        self.chosen = Signal(size.tokens)
        self.covered = Signal(column)
        self.nearest = Signal(data.ArrayLayout(range(size.tokens), size.tokens))
        best = self._best(m)
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
                with m.If(self.position == datm_timing.WindowMatch.DRAIN_CYCLES - 1):
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.comb += self.read.addr.eq(best)
                m.next = "RAISE"
            with m.State("RAISE"):
                self._raise(m, best)
            with m.State("EMIT"):
                self._emit(m)
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
                m.d.sync += [
                    self.position.eq(0),
                    self.taken.eq(0),
                    self.chosen.eq(0),
                    self.covered.eq(0),
                ]
                m.next = "SCAN"

    def _best(self, m: Module) -> Signal:
        """Gain lanes and arg-max: three stages behind the memory; return the best position."""
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
        is_open = valid & ~self.chosen.bit_select(position, 1)
        with m.If(is_open & (~has_best | (total > largest))):
            m.d.sync += [best.eq(position), largest.eq(total), has_best.eq(1)]
        with m.If(self.is_raising):
            m.d.sync += has_best.eq(0)
        return best

    def _notes(self, m: Module) -> tuple[Value, Value]:
        """Which column the arg-max sees: read three cycles ago."""
        self.is_scanning = Signal()
        self.is_raising = Signal()
        valid, position = self.is_scanning, self.position
        for stage in range(datm_timing.WindowMatch.DRAIN_CYCLES):
            held = Signal(name=f"valid{stage}"), Signal.like(self.position, name=f"position{stage}")
            m.d.sync += [held[0].eq(valid), held[1].eq(position)]
            valid, position = held
        return valid, position[: (self.size.tokens - 1).bit_length()]

    def _raise(self, m: Module, best: Signal) -> None:
        """Cover with the chosen column."""
        m.d.comb += self.is_raising.eq(1)
        m.d.sync += [
            self.chosen.eq(self.chosen | (1 << best)),
            self.taken.eq(self.taken + 1),
            self.position.eq(0),
        ]
        for token in range(self.size.tokens):
            likeness, covered = self.read.data[token], self.covered[token]
            is_lower = (likeness == covered) & (best < self.nearest[token])
            with m.If((self.taken == 0) | (likeness > covered) | is_lower):
                m.d.sync += [covered.eq(likeness), self.nearest[token].eq(best)]
        m.next = "SCAN"
        with m.If(self.taken == self.size.destinations - 1):
            m.next = "EMIT"

    def _emit(self, m: Module) -> None:
        token = self.position[: (self.size.tokens - 1).bit_length()]
        m.d.comb += [
            self.o.valid.eq(1),
            self.o.p.is_destination.eq(self.chosen.bit_select(token, 1)),
            self.o.p.nearest.eq(self.nearest[token]),
            self.o.p.likeness.eq(self.covered[token]),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.position.eq(self.position + 1)
            with m.If(self.position == self.size.tokens - 1):
                m.d.sync += self.position.eq(0)
                m.next = "LOAD"
