"""Units whose other properties the ladder shows keep the rules of streams."""

from collections.abc import Callable

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tenuto import conmerge_timing, hardware_timing
from tenuto.rtl.conmerge import ConMerge
from tenuto.rtl.dot_array import DotArray
from tenuto.rtl.proofs.stream_rules import (
    assert_output_holds,
    assume_running,
    assume_source_holds,
)
from tenuto.rtl.prove import Proof
from tenuto.rtl.restore import Restore


class _Offers(wiring.Component):
    """A unit between any source that keeps the rules and any sink."""

    def __init__(self, dut: wiring.Component) -> None:
        self.dut = dut
        super().__init__({"i": dut.signature.members["i"], "taken": In(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        assume_running(m)
        wiring.connect(m, wiring.flipped(self.i), dut.i)
        m.d.comb += dut.o.ready.eq(self.taken)
        assume_source_holds(m, self.i)
        assert_output_holds(m, dut.o)
        return m


def _proof(name: str, depth: int, unit: Callable[[], wiring.Component]) -> Proof:
    return Proof(
        name=f"{name}-offers",
        claim="an offered output stays, unchanged, until it is taken",
        top=lambda: _Offers(unit()),
        depth=depth,
        is_bounded=True,
    )


_RESTORE = hardware_timing.Restore(lanes=1, bits=3, num_places=2, row_beats=2)
_CONMERGE = conmerge_timing.ConMerge(rows=2, lanes=2, merge_limit=2, max_columns=4)
_ARRAY = conmerge_timing.DotArray(rows=2, lanes=2, merge_limit=2, dot_length=1, bits=2, max_depth=2)

PROOFS = (
    _proof("restore", 8, lambda: Restore(_RESTORE)),
    _proof("conmerge", 14, lambda: ConMerge(_CONMERGE)),
    _proof("dot-array", 8, lambda: DotArray(_ARRAY)),
)
