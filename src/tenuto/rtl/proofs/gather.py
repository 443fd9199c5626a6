"""The gather unit reads every kept token's row once, and nothing else."""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib.wiring import In

from tenuto import hardware_timing
from tenuto.rtl.gather import GatherAddresses
from tenuto.rtl.proofs.stream_rules import Observed
from tenuto.rtl.prove import Proof

_SIZE = hardware_timing.Gather(word_bits=3, max_tokens=6, row_beats=2)


class _Watched(Observed):
    """One address, any one, is counted over each bitmap."""

    def __init__(self) -> None:
        addresses = range(_SIZE.max_tokens * _SIZE.row_beats)
        super().__init__(GatherAddresses(_SIZE), watched=In(addresses))

    def observe(self, m: Module) -> None:
        dut = self.dut
        watched_was, is_second_cycle = Signal.like(self.watched), Signal()
        m.d.sync += [watched_was.eq(self.watched), is_second_cycle.eq(1)]
        m.d.comb += Assume(~is_second_cycle | (self.watched == watched_was))
        is_high = Signal()  # the next word is the bitmap's second one
        token = self.watched // _SIZE.row_beats
        bit = Mux(is_high, token - _SIZE.word_bits, token).as_unsigned()
        is_here = Mux(is_high, token >= _SIZE.word_bits, token < _SIZE.word_bits)
        m.d.comb += Assume(~self.i.valid | (self.i.p.last == is_high))
        is_due = Signal()  # accepted, and the watched address is still to come
        is_taken = dut.o.valid & dut.o.ready & (dut.o.payload == self.watched)
        m.d.comb += Assert(~(dut.o.valid & (dut.o.payload == self.watched)) | is_due)
        with m.If(is_taken):
            m.d.sync += is_due.eq(0)
        with m.If(dut.i.valid & dut.i.ready):
            m.d.comb += Assert(~is_due | is_taken)
            m.d.sync += [
                is_due.eq(is_here & self.i.p.bits.bit_select(bit, 1)),
                is_high.eq(~is_high),
            ]


PROOFS = (
    Proof(
        name="gather-complete",
        claim="of each bitmap every kept token's addresses leave exactly once before the next "
        "word is accepted, and no other address does, under any stalls (2 words of 3 tokens, "
        "2 beats)",
        top=_Watched,
        depth=12,
        is_bounded=True,
    ),
)
