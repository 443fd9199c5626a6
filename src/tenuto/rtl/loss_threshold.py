"""The end of the DATM engine: which tokens lose least, by a histogram in the place of a sort."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing
from tenuto.golden.datm import FRACTION_BITS
from tenuto.rtl.leading_one import binary_from_one_hot, highest_one


class LossThreshold(wiring.Component):
    """Mark the `quota` candidates of least loss; in the boundary bin the first ones.

    Losses are counted in 192 bins as they come, the bins are added up until they hold the quota,
    and the tokens are read again. A bin is counted in one cycle and written in the next; the
    memory passes a count that is just being written to a reader of the same bin.

    Throughput: one frame at a time, `datm_timing.LossThreshold.cycles`.

    Parameters:
        size: Most tokens of a frame.
        note_bits: Width of a note that comes out with its token.

    Members:
        i: In, stream of {is_candidate, loss, last: of the frame, quota: read with `last`, at most
            the candidates, note}, a token a transfer.
        o: Out, stream of {is_reduced, last, note}, the tokens in the same order.

    Source: stages S7 and S8 of DATM (ORBIS, arXiv 2605.22015) as `golden.datm` reconstructs it.
    """

    def __init__(self, size: datm_timing.LossThreshold, note_bits: int = 0) -> None:
        self.size = size
        self.note_bits = note_bits
        count = range(size.max_tokens + 1)
        token = data.StructLayout(
            {
                "is_candidate": 1,
                "loss": FRACTION_BITS,
                "last": 1,
                "quota": count,
                "note": note_bits,
            }
        )
        mark = data.StructLayout({"is_reduced": 1, "last": 1, "note": note_bits})
        super().__init__({"i": In(stream.Signature(token)), "o": Out(stream.Signature(mark))})

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        entry = data.StructLayout({"is_candidate": 1, "code": 8, "note": self.note_bits})
        m.submodules.codes = codes = memory.Memory(shape=entry, depth=size.max_tokens, init=[])
        self.code_write, self.code_read = codes.write_port(), codes.read_port()
        count = range(size.max_tokens + 1)
        m.submodules.bins = bins = memory.Memory(shape=count, depth=256, init=[])
        self.bin_write = bins.write_port()
        self.bin_read = bins.read_port(transparent_for=(self.bin_write,))
        self.num_tokens, self.position = Signal(count), Signal(count)
        self.quota, self.boundary = Signal(count), Signal(8)
        counted, counted_bin = Signal(), Signal(8)
        m.d.sync += counted.eq(0)
        with m.If(counted):
            m.d.comb += [
                self.bin_write.addr.eq(counted_bin),
                self.bin_write.data.eq(self.bin_read.data + 1),
                self.bin_write.en.eq(1),
            ]
        with m.FSM():
            with m.State("LOAD"):
                self._load(m, counted, counted_bin)
            with m.State("SCAN"):
                self._scan(m)
            with m.State("EMIT"):
                self._emit(m)
        return m

    def _load(self, m: Module, counted: Signal, counted_bin: Signal) -> None:
        code = Signal(8)
        m.d.comb += [
            code.eq(loss_code(self.i.p.loss)),
            self.i.ready.eq(1),
            self.code_write.addr.eq(self.num_tokens),
            self.code_write.data.is_candidate.eq(self.i.p.is_candidate),
            self.code_write.data.code.eq(code),
            self.code_write.data.note.eq(self.i.p.note),
            self.code_write.en.eq(self.i.valid),
            self.bin_read.addr.eq(code),
        ]
        with m.If(self.i.valid):
            m.d.sync += [
                counted.eq(self.i.p.is_candidate),
                counted_bin.eq(code),
                self.num_tokens.eq(self.num_tokens + 1),
            ]
            with m.If(self.i.p.last):
                m.d.sync += self.quota.eq(self.i.p.quota)
                m.next = "SCAN"

    def _scan(self, m: Module) -> None:
        """Take whole bins from the quota while it holds them; clear each bin behind the reader."""
        number = Signal(range(self.size.NUM_BINS + 1))
        is_found = Signal()
        m.d.comb += self.bin_read.addr.eq(number)
        m.d.sync += number.eq(number + 1)
        with m.If(number != 0):
            m.d.comb += [
                self.bin_write.addr.eq(number - 1),
                self.bin_write.data.eq(0),
                self.bin_write.en.eq(1),
            ]
            with m.If(~is_found):
                m.d.sync += self.boundary.eq(number - 1)
                with m.If(self.bin_read.data < self.quota):
                    m.d.sync += self.quota.eq(self.quota - self.bin_read.data)
                with m.Else():
                    m.d.sync += is_found.eq(1)
        with m.If(number == self.size.NUM_BINS):
            m.d.sync += [number.eq(0), is_found.eq(0), self.position.eq(0)]
            m.next = "EMIT"

    def _emit(self, m: Module) -> None:
        token = self.code_read.data
        is_boundary = token.is_candidate & (token.code == self.boundary) & self.quota.any()
        is_last = self.position == self.num_tokens - 1
        next_position = Mux(self.o.ready, self.position + 1, self.position)
        m.d.comb += [
            self.o.valid.eq(1),
            self.o.p.is_reduced.eq(
                (token.is_candidate & (token.code < self.boundary)) | is_boundary
            ),
            self.o.p.last.eq(is_last),
            self.o.p.note.eq(token.note),
            self.code_read.addr.eq(next_position),
        ]
        m.d.sync += self.position.eq(next_position)
        with m.If(self.o.ready):
            m.d.sync += self.quota.eq(self.quota - is_boundary)
            with m.If(is_last):
                m.d.sync += self.num_tokens.eq(0)
                m.next = "LOAD"


def loss_code(loss: Value) -> Value:
    """Return the bin of a loss: four bits below the leading one, and its place."""
    top = highest_one(loss >> 4)
    shift = binary_from_one_hot(top)
    return 16 * shift + (loss >> shift)
