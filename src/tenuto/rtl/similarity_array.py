"""The front of the DATM engine: window buffer, norms, and the columns of cosines."""

from amaranth.hdl import Array, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing
from tenuto.golden.datm import FRACTION_BITS, FULL, MANTISSA_BITS
from tenuto.rtl.reciprocal_root import EXPONENT_BITS, ReciprocalRoot


class SimilarityArray(wiring.Component):
    """Buffer a window and multiply it with each of its tokens in turn.

    One multiplier a token. While the channels come they add up the norms; then a bit-serial unit
    makes the reciprocal roots, one token after the other. A column takes a cycle a channel to
    multiply, and a cycle a token to scale by both roots, negative values becoming 0.

    Throughput: one window at a time, `datm_timing.SimilarityArray.cycles`.

    Parameters:
        size: Tokens and channels of a window.

    Members:
        i: In, stream of one channel of all tokens, tokens x signed(8), channels in order.
        o: Out, stream of columns of similarities, tokens x unsigned(15), in order.

    Source: stages S2 and S3 of DATM (ORBIS, arXiv 2605.22015) as `golden.datm` reconstructs it;
    both halves of the symmetric matrix are computed.
    """

    def __init__(self, size: datm_timing.SimilarityArray) -> None:
        self.size = size
        channel = data.ArrayLayout(signed(8), size.tokens)
        column = data.ArrayLayout(FRACTION_BITS, size.tokens)
        super().__init__({"i": In(stream.Signature(channel)), "o": Out(stream.Signature(column))})

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        channel = data.ArrayLayout(signed(8), size.tokens)
        m.submodules.window = window = memory.Memory(shape=channel, depth=size.channels, init=[])
        self.write, self.read = window.write_port(), window.read_port()
        root = data.StructLayout({"mantissa": MANTISSA_BITS, "exponent": EXPONENT_BITS})
        self.sums = Array(Signal(signed(32), name=f"sum{n}") for n in range(size.tokens))
        self.roots = Array(Signal(root, name=f"root{n}") for n in range(size.tokens))
        self.cosines = Signal(data.ArrayLayout(FRACTION_BITS, size.tokens))
        self.step = Signal(range(max(size.channels, size.tokens) + 1))
        self.column = Signal(range(size.tokens))
        self.root = m.submodules.root = ReciprocalRoot()
        with m.FSM():
            with m.State("LOAD"):
                self._load(m)
            with m.State("START"):
                m.d.comb += self.root.starts.eq(1)
                m.next = "ROOT"
            with m.State("ROOT"):
                self._root(m)
            with m.State("CLEAR"):
                m.d.comb += self.read.addr.eq(0)
                m.d.sync += [self.step.eq(0), *(total.eq(0) for total in self.sums)]
                m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                self._multiply(m)
            with m.State("SCALE"):
                self._scale(m)
            with m.State("EMIT"):
                self._emit(m)
        return m

    def _add_products(self, m: Module, channel: data.View, other: list[Value]) -> None:
        for token, total in enumerate(self.sums):
            m.d.sync += total.eq(total + channel[token] * other[token])

    def _load(self, m: Module) -> None:
        m.d.comb += [
            self.i.ready.eq(1),
            self.write.addr.eq(self.step),
            self.write.data.eq(self.i.payload),
            self.write.en.eq(self.i.valid),
        ]
        with m.If(self.i.valid):
            m.d.sync += self.step.eq(self.step + 1)
            self._add_products(m, self.i.payload, list(self.i.payload))
            with m.If(self.step == self.size.channels - 1):
                m.d.sync += self.step.eq(0)
                m.next = "START"

    def _root(self, m: Module) -> None:
        m.d.comb += self.root.norm.eq(self.sums[self.step])
        root = self.roots[self.step]
        with m.If(self.root.is_done):
            m.d.sync += [
                root.mantissa.eq(self.root.mantissa),
                root.exponent.eq(self.root.exponent),
                self.step.eq(self.step + 1),
            ]
            m.next = "START"
            with m.If(self.step == self.size.tokens - 1):
                m.next = "CLEAR"

    def _multiply(self, m: Module) -> None:
        own = Array(self.read.data)[self.column]
        m.d.comb += self.read.addr.eq(self.step + 1)
        m.d.sync += self.step.eq(self.step + 1)
        self._add_products(m, self.read.data, [own] * self.size.tokens)
        with m.If(self.step == self.size.channels - 1):
            m.d.sync += self.step.eq(0)
            m.next = "SCALE"

    def _scale(self, m: Module) -> None:
        """Scale one token's dot product."""
        total, mine, other = self.sums[self.step], self.roots[self.step], self.roots[self.column]
        shift = 2 * MANTISSA_BITS - FRACTION_BITS + mine.exponent + other.exponent
        scaled = (Mux(total > 0, total, 0).as_unsigned() * mine.mantissa * other.mantissa) >> shift
        cosine = Mux(self.step == self.column, FULL, scaled)
        m.d.sync += self.step.eq(self.step + 1)
        for token in range(self.size.tokens):
            with m.If(self.step == token):
                m.d.sync += self.cosines[token].eq(cosine)
        with m.If(self.step == self.size.tokens - 1):
            m.next = "EMIT"

    def _emit(self, m: Module) -> None:
        m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(self.cosines)]
        with m.If(self.o.ready):
            m.d.sync += [self.step.eq(0), *(total.eq(0) for total in self.sums)]
            m.d.sync += self.column.eq(self.column + 1)
            m.next = "CLEAR"
            with m.If(self.column == self.size.tokens - 1):
                m.d.sync += self.column.eq(0)
                m.next = "LOAD"
