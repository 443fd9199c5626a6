"""Windows compete: the largest gain takes the destination left, ties go to the lower window."""

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib import data

from tenuto import datm_timing
from tenuto.rtl.budget_select import BudgetSelect
from tenuto.rtl.proofs.stream_rules import Observed
from tenuto.rtl.prove import Proof

_SIZE = datm_timing.BudgetSelect(
    rank=datm_timing.WindowRank(tokens=2, bits=1), num_windows=2, num_destinations=3, digit_bits=1
)


class _TwoWindows(Observed):
    """Of two windows' second tokens one is taken; both tokens' positions are kept beside it."""

    def __init__(self) -> None:
        super().__init__(BudgetSelect(_SIZE))

    def observe(self, m: Module) -> None:
        dut = self.dut
        first = Signal(2)  # of each window, the position of its first token
        gains = Signal(data.ArrayLayout(_SIZE.rank.gain_bits, 2))  # of the second ones
        loaded, window = Signal(2), Signal()
        is_second = loaded[0]
        m.d.comb += Assume(
            ~(self.i.valid & is_second) | (self.i.p.position != first.bit_select(loaded[1], 1))
        )
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += loaded.eq(loaded + 1)
            with m.If(is_second):
                m.d.sync += gains[loaded[1]].eq(self.i.p.gain)
            with m.Else():
                m.d.sync += first.bit_select(loaded[1], 1).eq(self.i.p.position)
        takes_second = Mux(window, gains[1] > gains[0], gains[0] >= gains[1])
        with m.If(dut.o.valid):
            expected = (1 << first.bit_select(window, 1)) | Mux(takes_second, 0b11, 0)
            m.d.comb += Assert(dut.o.payload == expected[:2])
            with m.If(dut.o.ready):
                m.d.sync += window.eq(~window)


PROOFS = (
    Proof(
        name="budget-select-ties",
        claim="each window's first token is a destination, and the one left goes to the larger "
        "gain, among equals to the lower window, under any stalls (2 windows of 2 tokens)",
        top=_TwoWindows,
        depth=20,
        is_bounded=True,
    ),
)
