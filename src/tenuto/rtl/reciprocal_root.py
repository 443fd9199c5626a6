"""One over a square root, a bit a cycle: what makes dot products cosines."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tenuto.golden.datm import MANTISSA_BITS
from tenuto.rtl.leading_one import binary_from_one_hot, highest_one

EXPONENT_BITS = 4


class ReciprocalRoot(wiring.Component):
    """Find the largest mantissa whose square times the norm is at most a power of four.

    From the highest bit down, each bit is kept if the bound still holds.

    Latency: 16 cycles from `starts` to the cycle in which `is_done` is 1; the norm stays until
    then.

    Members:
        starts: In, begin.
        norm: In, below 2^31.
        is_done: Out.
        mantissa, exponent: Out, with `is_done`: 1/sqrt(norm) = mantissa * 2^-(16 + exponent),
            rounded down; 0 and 0 for a norm of 0.

    Source: `golden.datm.reciprocal_roots`, ours.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "starts": In(1),
                "norm": In(31),
                "is_done": Out(1),
                "mantissa": Out(MANTISSA_BITS),
                "exponent": Out(EXPONENT_BITS),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        found, bit = Signal(MANTISSA_BITS), Signal(MANTISSA_BITS)
        trial, is_within = Signal(MANTISSA_BITS), Signal()
        leading = Signal(range(len(self.norm)))
        m.d.comb += [
            leading.eq(binary_from_one_hot(highest_one(self.norm))),
            self.exponent.eq(leading >> 1),
            trial.eq(found | bit),
            is_within.eq(
                trial * trial * self.norm <= (1 << (2 * MANTISSA_BITS)) << (2 * self.exponent)
            ),
            self.mantissa.eq(Mux(self.norm.any(), Mux(is_within, trial, found), 0)),
            self.is_done.eq(bit[0]),
        ]
        m.d.sync += [found.eq(Mux(is_within, trial, found)), bit.eq(bit >> 1)]
        with m.If(self.starts):
            m.d.sync += [found.eq(0), bit.eq(1 << (MANTISSA_BITS - 1))]
        return m
