"""What every stream promises: an offer stands, unchanged, until it is taken (RFC 61)."""

from amaranth.hdl import Assert, Assume, Module, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In


class Observed(wiring.Component):
    """A unit between any source that keeps its offers and any sink; its offers must stand, too.

    Members:
        i: In, what the source offers.
        taken: In, the sink accepts.

    Source: Amaranth's RFC 61.
    """

    def __init__(self, dut: wiring.Component, **free) -> None:
        """Keep the unit; `free` are further inputs, which may have any value in any cycle."""
        self.dut = dut
        super().__init__({"i": dut.signature.members["i"], "taken": In(1), **free})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        assume_running(m)
        wiring.connect(m, wiring.flipped(self.i), dut.i)
        m.d.comb += [
            dut.o.ready.eq(self.taken),
            Assume(_holds(m, "source", self.i)),
            Assert(_holds(m, "output", dut.o)),
        ]
        self.observe(m)
        return m

    def observe(self, m: Module) -> None:
        """Assert what else must hold; nothing, unless a proof says so."""


def assume_running(m: Module) -> None:
    """Leave reset out: registers begin at their initial values, as after power-up."""
    m.d.comb += Assume(~ResetSignal())


def _holds(m: Module, name: str, flow: stream.Interface) -> Value:
    """Return a signal that is false where an offer was withdrawn or changed."""
    was_waiting = Signal(name=f"{name}_was_waiting")
    payload = Signal(Value.cast(flow.payload).shape(), name=f"{name}_payload_was")
    m.d.sync += [was_waiting.eq(flow.valid & ~flow.ready), payload.eq(flow.payload)]
    return ~was_waiting | (flow.valid & (Value.cast(flow.payload) == payload))
