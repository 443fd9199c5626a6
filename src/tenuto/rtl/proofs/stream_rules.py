"""What every stream promises: an offer stands, unchanged, until it is taken (RFC 61)."""

from amaranth.hdl import Assert, Assume, Module, ResetSignal, Signal, Value
from amaranth.lib import stream


def assume_running(m: Module) -> None:
    """Leave reset out: registers begin at their initial values, as after power-up."""
    m.d.comb += Assume(~ResetSignal())


def _holds(m: Module, name: str, flow: stream.Interface) -> Value:
    """Return a signal that is false where an offer was withdrawn or changed."""
    was_waiting = Signal(name=f"{name}_was_waiting")
    payload = Signal(Value.cast(flow.payload).shape(), name=f"{name}_payload_was")
    m.d.sync += [was_waiting.eq(flow.valid & ~flow.ready), payload.eq(flow.payload)]
    return ~was_waiting | (flow.valid & (Value.cast(flow.payload) == payload))


def assume_source_holds(m: Module, flow: stream.Interface) -> None:
    """Let the environment keep its offers."""
    m.d.comb += Assume(_holds(m, "source", flow))


def assert_output_holds(m: Module, flow: stream.Interface) -> None:
    """Require the unit to keep its offers."""
    m.d.comb += Assert(_holds(m, "output", flow))
