"""The front of the DATM engine: window buffer, norms, and the columns of cosines."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing
from tenuto.golden.datm import FRACTION_BITS, FULL, MANTISSA_BITS
from tenuto.rtl.leading_one import binary_from_one_hot
from tenuto.rtl.reciprocal_root import EXPONENT_BITS, ReciprocalRoot


class SimilarityArray(wiring.Component):
    """Buffer a window and multiply it with those of its tokens that are wanted.

    A multiplier for each token of the window in each of some columns. While the channels come the
    first column adds up the norms; then a bit-serial unit makes the reciprocal roots, one token
    after the other. A group of columns takes a cycle a column to pick, a cycle a channel to
    multiply, and a cycle a token to scale by both roots, negative values becoming 0.

    Throughput: one window at a time, `datm_timing.SimilarityArray.cycles`.

    Parameters:
        size: Tokens and channels of a window, columns of a group.

    Members:
        i: In, stream of {channel: of all tokens, tokens x signed(8), wanted: bitmap of tokens,
            at least one, read with the window's last channel}, channels in order.
        o: Out, stream of {cosines: tokens x unsigned(15), position: of the column's token, last:
            of the window}, positions rising.

    Source: stages S2 and S3 of DATM (ORBIS, arXiv 2605.22015) as `golden.datm` reconstructs it;
    both halves of the symmetric matrix are computed.
    """

    def __init__(self, size: datm_timing.SimilarityArray) -> None:
        self.size = size
        channel = data.StructLayout(
            {"channel": data.ArrayLayout(signed(8), size.tokens), "wanted": size.tokens}
        )
        column = column_layout(size.tokens, FRACTION_BITS)
        super().__init__({"i": In(stream.Signature(channel)), "o": Out(stream.Signature(column))})

    def elaborate(self, platform) -> Module:
        m = Module()
        self._make_storage(m)
        with m.FSM():
            with m.State("LOAD"):
                self._load(m)
            with m.State("START"):
                m.d.comb += self.root.starts.eq(1)
                m.next = "ROOT"
            with m.State("ROOT"):
                self._root(m)
            with m.State("PICK"):
                self._pick(m)
            with m.State("MULTIPLY"):
                self._multiply(m)
            with m.State("SCALE"):
                self._scale(m)
            with m.State("EMIT"):
                self._emit(m)
        return m

    def _make_storage(self, m: Module) -> None:
        """The window, and of each column of the group its sums, which become its cosines."""
        size = self.size
        channel = data.ArrayLayout(signed(8), size.tokens)
        m.submodules.window = window = memory.Memory(shape=channel, depth=size.channels, init=[])
        self.write, self.read = window.write_port(), window.read_port()
        root = data.StructLayout({"mantissa": MANTISSA_BITS, "exponent": EXPONENT_BITS})
        self.roots = Array(Signal(root, name=f"root{n}") for n in range(size.tokens))
        self.sums = [
            Array(Signal(signed(32), name=f"sum{column}_{n}") for n in range(size.tokens))
            for column in range(size.columns)
        ]
        self.step = Signal(range(max(size.channels, size.tokens) + 1))
        self.left = Signal(size.tokens)  # wanted columns that no group has had yet
        self.picked = Signal(data.ArrayLayout(range(size.tokens), size.columns))
        self.is_picked = Signal(size.columns)
        self.root = m.submodules.root = ReciprocalRoot()

    def _add_products(self, m: Module, column: int, channel: data.View, other: list[Value]) -> None:
        for token, total in enumerate(self.sums[column]):
            m.d.sync += total.eq(total + channel[token] * other[token])

    def _load(self, m: Module) -> None:
        channel = self.i.p.channel
        m.d.comb += [
            self.i.ready.eq(1),
            self.write.addr.eq(self.step),
            self.write.data.eq(channel),
            self.write.en.eq(self.i.valid),
        ]
        with m.If(self.i.valid):
            m.d.sync += self.step.eq(self.step + 1)
            self._add_products(m, 0, channel, list(channel))
            with m.If(self.step == self.size.channels - 1):
                m.d.sync += [self.step.eq(0), self.left.eq(self.i.p.wanted)]
                m.next = "START"

    def _root(self, m: Module) -> None:
        m.d.comb += self.root.norm.eq(self.sums[0][self.step])
        root = self.roots[self.step]
        with m.If(self.root.is_done):
            m.d.sync += [
                root.mantissa.eq(self.root.mantissa),
                root.exponent.eq(self.root.exponent),
                self.step.eq(self.step + 1),
            ]
            m.next = "START"
            with m.If(self.step == self.size.tokens - 1):
                m.d.sync += self.step.eq(0)
                m.next = "PICK"

    def _pick(self, m: Module) -> None:
        """Give the lowest wanted token to the group's next column."""
        lowest = Signal.like(self.left)
        m.d.comb += lowest.eq(self.left & (~self.left + 1))
        m.d.sync += [
            self.picked[self.step].eq(binary_from_one_hot(lowest)),
            self.is_picked.eq(Cat(self.is_picked[1:], self.left.any())),
            self.left.eq(self.left & ~lowest),
            self.step.eq(self.step + 1),
            *(total.eq(0) for column in self.sums for total in column),
        ]
        with m.If(self.step == self.size.columns - 1):
            m.d.sync += self.step.eq(0)
            m.d.comb += self.read.addr.eq(0)
            m.next = "MULTIPLY"

    def _multiply(self, m: Module) -> None:
        m.d.comb += self.read.addr.eq(self.step + 1)
        m.d.sync += self.step.eq(self.step + 1)
        for column in range(self.size.columns):
            own = Signal(signed(8), name=f"own{column}")
            m.d.comb += own.eq(Array(self.read.data)[self.picked[column]])
            self._add_products(m, column, self.read.data, [own] * self.size.tokens)
        with m.If(self.step == self.size.channels - 1):
            m.d.sync += self.step.eq(0)
            m.next = "SCALE"

    def _scale(self, m: Module) -> None:
        """Scale one token's dot product in each column, in place."""
        mine = Signal(self.roots[0].shape())
        m.d.comb += mine.eq(self.roots[self.step])
        for column, sums in enumerate(self.sums):
            total = Signal(signed(32), name=f"total{column}")
            other = Signal(mine.shape(), name=f"other{column}")
            scaled = Signal(FRACTION_BITS, name=f"scaled{column}")
            m.d.comb += [total.eq(sums[self.step]), other.eq(self.roots[self.picked[column]])]
            shift = 2 * MANTISSA_BITS - FRACTION_BITS + mine.exponent + other.exponent
            product = total[:31] * mine.mantissa * other.mantissa
            m.d.comb += scaled.eq(Mux(total < 0, 0, product >> shift))
            is_own = self.step == self.picked[column]
            m.d.sync += sums[self.step].eq(Mux(is_own, FULL, scaled))
        m.d.sync += self.step.eq(self.step + 1)
        with m.If(self.step == self.size.tokens - 1):
            m.d.sync += self.step.eq(0)
            m.next = "EMIT"

    def _emit(self, m: Module) -> None:
        column = self.step[: self.size.columns.bit_length()]
        cosines = Array(Cat(total[:FRACTION_BITS] for total in sums) for sums in self.sums)
        is_group_done = ~self.is_picked[1:].any()
        m.d.comb += [
            self.o.valid.eq(1),
            self.o.p.cosines.eq(cosines[column]),
            self.o.p.position.eq(self.picked[column]),
            self.o.p.last.eq(is_group_done & ~self.left.any()),
        ]
        with m.If(self.o.ready):
            m.d.sync += [self.step.eq(self.step + 1), self.is_picked.eq(self.is_picked >> 1)]
            with m.If(is_group_done):
                m.d.sync += self.step.eq(0)
                m.next = "PICK"
                with m.If(self.o.p.last):
                    m.d.sync += [total.eq(0) for total in self.sums[0]]
                    m.next = "LOAD"


def column_layout(tokens: int, bits: int) -> data.StructLayout:
    """Return the payload of one column of a window's similarities."""
    return data.StructLayout(
        {"cosines": data.ArrayLayout(bits, tokens), "position": range(tokens), "last": 1}
    )
