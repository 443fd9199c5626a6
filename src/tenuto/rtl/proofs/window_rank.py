"""The order of a window's tokens begins with the largest gain, ties to the lowest position."""

from amaranth.hdl import Assert, Module, Mux, Signal
from amaranth.lib import data

from tenuto import datm_timing
from tenuto.rtl.log_dot import tree_sum
from tenuto.rtl.proofs.stream_rules import Observed
from tenuto.rtl.prove import Proof
from tenuto.rtl.window_rank import WindowRank

_SIZE = datm_timing.WindowRank(tokens=3, bits=1)


class _Ordered(Observed):
    """The gains of the first choice are the columns' sums, which are kept beside the unit."""

    def __init__(self) -> None:
        super().__init__(WindowRank(_SIZE))

    def observe(self, m: Module) -> None:
        dut = self.dut
        sums = Signal(data.ArrayLayout(_SIZE.gain_bits, _SIZE.tokens))
        loaded = Signal(range(_SIZE.tokens))
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += [
                sums[loaded].eq(tree_sum(list(self.i.payload))),
                loaded.eq(Mux(loaded == _SIZE.tokens - 1, 0, loaded + 1)),
            ]
        best = Mux(sums[1] > sums[0], 1, 0)
        largest = Mux(sums[1] > sums[0], sums[1], sums[0])
        best = Mux(sums[2] > largest, 2, best)
        is_later = Signal()
        m.d.comb += Assert(~dut.o.valid | is_later | (dut.o.p.position == best))
        with m.If(dut.o.valid & dut.o.ready):
            m.d.sync += is_later.eq(1)


PROOFS = (
    Proof(
        name="window-rank-ties",
        claim="the first token is that of the largest gain, among equals the lowest one, "
        "under any stalls (3 tokens of 1 bit)",
        top=_Ordered,
        depth=14,
        is_bounded=True,
    ),
)
