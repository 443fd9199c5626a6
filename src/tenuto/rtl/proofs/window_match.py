"""The arg-max of the gain lanes: ties go to the lowest position."""

from amaranth.hdl import Assert, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from tenuto import datm_timing
from tenuto.rtl.log_dot import tree_sum
from tenuto.rtl.proofs.stream_rules import (
    assert_output_holds,
    assume_running,
    assume_source_holds,
)
from tenuto.rtl.prove import Proof
from tenuto.rtl.window_match import WindowMatch

_SIZE = datm_timing.WindowMatch(tokens=3, destinations=1, bits=2)


class _FirstDestination(wiring.Component):
    """With one destination the gains are the columns' sums, which are kept beside the unit."""

    def __init__(self) -> None:
        self.dut = WindowMatch(_SIZE)
        super().__init__({"i": self.dut.signature.members["i"], "taken": In(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        assume_running(m)
        wiring.connect(m, wiring.flipped(self.i), dut.i)
        m.d.comb += dut.o.ready.eq(self.taken)
        assume_source_holds(m, self.i)
        assert_output_holds(m, dut.o)
        sums = Signal(data.ArrayLayout(_SIZE.gain_bits, _SIZE.tokens))
        loaded, token = Signal(range(_SIZE.tokens)), Signal(range(_SIZE.tokens))
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += [
                sums[loaded].eq(tree_sum(list(self.i.payload))),
                loaded.eq(Mux(loaded == _SIZE.tokens - 1, 0, loaded + 1)),
            ]
        best = Mux(sums[1] > sums[0], 1, 0)
        largest = Mux(sums[1] > sums[0], sums[1], sums[0])
        best = Mux(sums[2] > largest, 2, best)
        with m.If(dut.o.valid):
            m.d.comb += Assert(dut.o.p.is_destination == (token == best))
            m.d.comb += Assert(dut.o.p.nearest == best)
            with m.If(dut.o.ready):
                m.d.sync += token.eq(Mux(token == _SIZE.tokens - 1, 0, token + 1))
        return m


PROOFS = (
    Proof(
        name="window-match-ties",
        claim="the destination is the token of the largest gain, among equals the lowest one, and "
        "every token is assigned to it, under any stalls (3 tokens of 2 bits, 1 destination)",
        top=_FirstDestination,
        depth=14,
        is_bounded=True,
    ),
)
