"""The log-domain dot product keeps the stream rules, its latency, and every result."""

from amaranth.hdl import Assert, Module, Mux, Signal, signed

from tenuto import hardware_timing
from tenuto.rtl.log_dot import LogDot
from tenuto.rtl.proofs.stream_rules import Observed
from tenuto.rtl.prove import Proof

_SIZE = hardware_timing.LogDot(lanes=1, bits=2, max_length=4)


class _Shadow(Observed):
    """Beside the unit runs a pipeline of the arithmetic's definition, one multiplier a lane."""

    def __init__(self) -> None:
        super().__init__(LogDot(_SIZE))

    def observe(self, m: Module) -> None:
        """Two-bit operands have at most one one: they stand for themselves."""
        dut = self.dut
        exact = sum(self.i.p.x[lane] * self.i.p.w[lane] for lane in range(_SIZE.lanes))
        moves = ~dut.o.valid | dut.o.ready
        accepted = self.i.valid & dut.i.ready
        stages = [
            (Signal(name=f"valid{n}"), Signal(name=f"last{n}"), Signal(signed(16), name=f"sum{n}"))
            for n in range(_SIZE.latency_cycles)
        ]
        with m.If(moves):
            previous = (accepted, self.i.p.last, exact)
            for stage in stages[:-1]:
                m.d.sync += [now.eq(before) for now, before in zip(stage, previous, strict=True)]
                previous = stage
            running = Signal(signed(16))
            valid, last, term = previous
            m.d.sync += stages[-1][0].eq(valid & last)
            with m.If(valid):
                m.d.sync += [
                    running.eq(Mux(last, 0, running + term)),
                    stages[-1][2].eq(running + term),
                ]
        width = _SIZE.result_bits
        m.d.comb += [
            Assert(dut.o.valid == stages[-1][0]),
            Assert(~dut.o.valid | (dut.o.p.sum == stages[-1][2][:width].as_signed())),
        ]


PROOFS = (
    Proof(
        name="log-dot-results-and-latency",
        claim="under any stalls each dot product leaves once, unchanged while it waits, "
        "4 unstalled cycles after its last beat, with the exact sum (1 lane of 2 bits)",
        top=_Shadow,
        depth=9,
        is_bounded=True,
    ),
)
