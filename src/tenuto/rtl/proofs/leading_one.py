"""The leading-one detector is right for every input."""

from amaranth.hdl import Assert, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tenuto.rtl.leading_one import TwoStepLeadingOne, binary_from_one_hot
from tenuto.rtl.prove import Proof


class _TwoHighestOnes(wiring.Component):
    """`first` is the largest power of two in |x|, `second` the largest one in what is left."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__({"x": In(signed(bits))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.dut = dut = TwoStepLeadingOne(self.bits)
        magnitude = Signal(self.bits)
        m.d.comb += [
            dut.x.eq(self.x),
            magnitude.eq(abs(self.x)),
            Assert(dut.negative == (self.x < 0)),
            Assert(_is_leading_one(dut.first, magnitude)),
            Assert(_is_leading_one(dut.second, magnitude - dut.first)),
            Assert((1 << binary_from_one_hot(dut.first)) * dut.first.any() == dut.first),
        ]
        return m


def _is_leading_one(one: Value, number: Value) -> Value:
    """State that `one` is a power of two with one <= number < 2 one, or that both are 0."""
    is_power = one.any() & ((one & (one - 1)) == 0)
    return (is_power & (one <= number) & (number < 2 * one)) | ((one == 0) & (number == 0))


PROOFS = (
    Proof(
        name="leading-one-12",
        claim="the two highest ones, sign and positions are right for every 12-bit number",
        top=lambda: _TwoHighestOnes(12),
        depth=1,
    ),
    Proof(
        name="leading-one-16",
        claim="the two highest ones, sign and positions are right for every 16-bit number",
        top=lambda: _TwoHighestOnes(16),
        depth=1,
    ),
)
