"""The end of the DATM engine: which tokens lose least, and the lists that say so."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing
from tenuto.rtl.histogram import Histogram
from tenuto.rtl.leading_one import binary_from_one_hot, highest_one


class PairWriter(wiring.Component):
    """Write the kept tokens of a frame, and its pairs, those that lose least first.

    Losses are counted in bins as they come. Adding the bins up gives the boundary, the one that
    exceeds the quota, and where the pairs of each bin begin. The tokens are read again: kept ones
    leave at once, reduced ones go to the next place of their bin. Then the pairs leave.

    Throughput: one frame at a time, `datm_timing.PairWriter.cycles`.

    Parameters:
        size: Most tokens of a frame, bits of a loss.

    Members:
        i: In, stream of {is_candidate, loss, partner: token that stands for it, last: of the
            frame, quota: tokens to reduce, read with `last`, at most the candidates}, a token a
            transfer.
        o: Out, stream of {is_pair, token, partner: of a pair, else 0, last}: first the kept
            tokens, rising, then `quota` pairs by the bin of their loss, ties by token.

    Source: stages S7 and S8 of DATM (ORBIS, arXiv 2605.22015) as `golden.datm` reconstructs it.
    """

    def __init__(self, size: datm_timing.PairWriter) -> None:
        self.size = size
        self.index = range(size.max_tokens)
        self.count = range(size.max_tokens + 1)
        token = data.StructLayout(
            {
                "is_candidate": 1,
                "loss": size.bits,
                "partner": self.index,
                "last": 1,
                "quota": self.count,
            }
        )
        entry = data.StructLayout(
            {"is_pair": 1, "token": self.index, "partner": self.index, "last": 1}
        )
        super().__init__({"i": In(stream.Signature(token)), "o": Out(stream.Signature(entry))})

    def elaborate(self, platform) -> Module:
        m = Module()
        self._make_storage(m)
        with m.FSM():
            with m.State("LOAD"):
                self._load(m)
            with m.State("SCAN"):
                self._scan(m)
            with m.State("PLACE"):
                self._place(m)
            with m.State("TURN"):
                m.next = "EMIT"
            with m.State("EMIT"):
                self._emit(m)
        return m

    def _make_storage(self, m: Module) -> None:
        """Tokens, counts of the bins, where their pairs begin, and the pairs."""
        size = self.size
        code = range(size.num_bins)
        self.token = data.StructLayout({"is_candidate": 1, "code": code, "partner": self.index})
        pair = data.StructLayout({"token": self.index, "partner": self.index})
        memories = {
            "tokens": (self.token, size.max_tokens),
            "starts": (self.count, size.num_bins),
            "pairs": (pair, size.max_tokens),
        }
        self.write, self.read = {}, {}
        for name, (shape, depth) in memories.items():
            m.submodules[name] = made = memory.Memory(shape=shape, depth=depth, init=[])
            self.write[name] = write = made.write_port()
            self.read[name] = made.read_port(transparent_for=(write,))
        m.submodules.bins = self.bins = Histogram(size.num_bins, size.max_tokens)
        self.num_tokens, self.position = Signal(self.count), Signal(self.count)
        self.num_pairs, self.quota = Signal(self.count), Signal(self.count)
        self.boundary = Signal(code)
        self._write_pairs(m)

    def _write_pairs(self, m: Module) -> None:
        """Put the token that was read a cycle ago in its bin's next place."""
        self.is_reduced, was_reduced, code = Signal(), Signal(), Signal(range(self.size.num_bins))
        starts, pairs, token = self.write["starts"], self.write["pairs"], self.read["tokens"].data
        m.d.sync += [
            was_reduced.eq(self.is_reduced),
            code.eq(token.code),
            pairs.data.token.eq(self.position),
            pairs.data.partner.eq(token.partner),
        ]
        m.d.comb += pairs.addr.eq(self.read["starts"].data)
        with m.If(was_reduced):
            m.d.comb += [
                pairs.en.eq(1),
                starts.addr.eq(code),
                starts.data.eq(self.read["starts"].data + 1),
                starts.en.eq(1),
            ]

    def _load(self, m: Module) -> None:
        write, code = self.write["tokens"], Signal(range(self.size.num_bins))
        m.d.comb += [
            code.eq(loss_code(self.i.p.loss)),
            self.i.ready.eq(1),
            write.addr.eq(self.num_tokens),
            write.data.is_candidate.eq(self.i.p.is_candidate),
            write.data.code.eq(code),
            write.data.partner.eq(self.i.p.partner),
            write.en.eq(self.i.valid),
            self.bins.value.eq(code),
            self.bins.counts.eq(self.i.valid & self.i.p.is_candidate),
        ]
        with m.If(self.i.valid):
            m.d.sync += self.num_tokens.eq(self.num_tokens + 1)
            with m.If(self.i.p.last):
                m.d.sync += [self.quota.eq(self.i.p.quota), self.num_pairs.eq(self.i.p.quota)]
                m.next = "SCAN"

    def _scan(self, m: Module) -> None:
        """Take whole bins from the quota while it holds them; write where each bin begins."""
        number = Signal(range(self.size.num_bins + 1))
        begin, is_found = Signal(self.count), Signal()
        amount, starts = self.bins.amount, self.write["starts"]
        m.d.comb += self.bins.address.eq(number)
        m.d.sync += number.eq(number + 1)
        with m.If(number != 0):
            m.d.comb += [
                self.bins.clears.eq(1),
                starts.addr.eq(number - 1),
                starts.data.eq(begin),
                starts.en.eq(1),
            ]
            m.d.sync += begin.eq(begin + amount)
            with m.If(~is_found):
                m.d.sync += self.boundary.eq(number - 1)
                with m.If(amount < self.quota):
                    m.d.sync += self.quota.eq(self.quota - amount)
                with m.Else():
                    m.d.sync += is_found.eq(1)
        with m.If(number == self.size.num_bins):
            m.d.sync += [number.eq(0), begin.eq(0), is_found.eq(0), self.position.eq(0)]
            m.next = "PLACE"

    def _place(self, m: Module) -> None:
        """Hand out a kept token, or put a reduced one in its place."""
        token = self.read["tokens"].data
        is_boundary = token.is_candidate & (token.code == self.boundary) & self.quota.any()
        is_last = self.position == self.num_tokens - 1
        advances, next_position = self.is_reduced | self.o.ready, Signal.like(self.position)
        m.d.comb += [
            self.is_reduced.eq((token.is_candidate & (token.code < self.boundary)) | is_boundary),
            self.o.valid.eq(~self.is_reduced),
            self.o.p.token.eq(self.position),
            self.o.p.last.eq(is_last & ~self.num_pairs.any()),
            next_position.eq(Mux(advances, self.position + 1, self.position)),
            self.read["tokens"].addr.eq(next_position),
            self.read["starts"].addr.eq(token.code),
        ]
        m.d.sync += self.position.eq(next_position)
        with m.If(advances):
            m.d.sync += self.quota.eq(self.quota - is_boundary)
            with m.If(is_last):
                m.d.sync += [self.position.eq(0), self.num_tokens.eq(0)]
                m.next = "LOAD"
                with m.If(self.num_pairs.any()):
                    m.next = "TURN"

    def _emit(self, m: Module) -> None:
        pair = self.read["pairs"]
        is_last = self.position == self.num_pairs - 1
        next_position = Mux(self.o.ready, self.position + 1, self.position)
        m.d.comb += [
            self.o.valid.eq(1),
            self.o.p.is_pair.eq(1),
            self.o.p.token.eq(pair.data.token),
            self.o.p.partner.eq(pair.data.partner),
            self.o.p.last.eq(is_last),
            pair.addr.eq(next_position),
        ]
        m.d.sync += self.position.eq(next_position)
        with m.If(self.o.ready & is_last):
            m.next = "LOAD"


def loss_code(loss: Value) -> Value:
    """Return the bin of a loss: four bits below the leading one, and its place."""
    if len(loss) < 5:
        return loss
    shift = binary_from_one_hot(highest_one(loss >> 4))
    return 16 * shift + (loss >> shift)
