"""Gather on load: from the bitmap of kept tokens to the addresses that the loader reads."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import hardware_timing
from tenuto.rtl.leading_one import binary_from_one_hot


class GatherAddresses(wiring.Component):
    """Write the addresses of the kept tokens' rows, in rising order of the tokens.

    A word of the bitmap is held while its ones are taken from the lowest up, `row_beats`
    addresses for each. The next word is accepted in the cycle of the last address.

    Latency: 1 cycle from a word to its first address. Throughput: 1 address a cycle; a word
    without a one takes 1 cycle.

    Parameters:
        size: Bits of a word, words of a bitmap, and addresses of a token's row.

    Members:
        i: In, stream of {bits: token of the lowest bit first, last: of the bitmap, after which
            token 0 follows}.
        o: Out, stream of addresses, token * row_beats + beat.

    Source: ours (the restore path of ORBIS, arXiv 2605.22015, as reconstructed).
    """

    def __init__(self, size: hardware_timing.Gather) -> None:
        self.size = size
        word = data.StructLayout({"bits": size.word_bits, "last": 1})
        super().__init__(
            {
                "i": In(stream.Signature(word)),
                "o": Out(stream.Signature(range(size.max_tokens * size.row_beats))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        left = Signal(size.word_bits)
        first = Signal(range(size.max_tokens))
        beat = Signal(range(size.row_beats))
        lowest = left & (~left + 1)[: size.word_bits]
        is_row_done = Signal()
        is_word_done = Signal()
        m.d.comb += [
            self.o.valid.eq(left.any()),
            self.o.payload.eq((first + binary_from_one_hot(lowest)) * size.row_beats + beat),
            is_row_done.eq(self.o.ready & (beat == size.row_beats - 1)),
            is_word_done.eq(~left.any() | (is_row_done & (left == lowest))),
            self.i.ready.eq(is_word_done),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += beat.eq(Mux(is_row_done, 0, beat + 1))
            with m.If(is_row_done):
                m.d.sync += left.eq(left & ~lowest)
        self._next_word(m, left, first)
        return m

    def _next_word(self, m: Module, left: Signal, first: Signal) -> None:
        """Take a word; `next_first` is the token of the following one's lowest bit."""
        next_first = Signal(range(self.size.max_tokens + self.size.word_bits))
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                left.eq(self.i.p.bits),
                first.eq(next_first),
                next_first.eq(Mux(self.i.p.last, 0, next_first + self.size.word_bits)),
            ]
