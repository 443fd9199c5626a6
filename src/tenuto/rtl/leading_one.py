"""The two highest ones of a number: what is left of an operand in log-domain prediction."""

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class TwoStepLeadingOne(wiring.Component):
    """Split a signed number into its sign and the positions of its two highest ones.

    Combinational. The golden function is `tenuto.golden.leading_one.two_step_lod`: its value is
    `(-1)**negative * (first + second)`.

    Parameters:
        bits: Width of the number, two's complement.

    Members:
        x: In, signed(bits).
        negative: Out, x < 0.
        first: Out, the highest one of |x| alone; 0 for 0.
        second: Out, the next lower one alone; 0 if |x| is a power of two or 0.

    Source: EXION (arXiv 2501.05680) names a two-step leading-one detection; that it keeps the
    first and the second one of each operand is our reconstruction.
    """

    def __init__(self, bits: int) -> None:
        if bits < 2:
            raise ValueError(f"`bits` must be at least 2, got {bits!r}")
        self.bits = bits
        super().__init__(
            {
                "x": In(signed(bits)),
                "negative": Out(1),
                "first": Out(bits),
                "second": Out(bits),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        magnitude = Signal(self.bits)
        rest = Signal(self.bits)
        m.d.comb += [
            self.negative.eq(self.x < 0),
            magnitude.eq(abs(self.x)),
            self.first.eq(highest_one(magnitude)),
            rest.eq(magnitude & ~self.first),
            self.second.eq(highest_one(rest)),
        ]
        return m


def highest_one(value: Value) -> Value:
    """Return `value` with all but its highest one cleared, by a prefix-or of log2(bits) levels."""
    below = value
    distance = 1
    while distance < len(value):
        below = below | (below >> distance)
        distance *= 2
    return below & ~(below >> 1)


def binary_from_one_hot(one_hot: Value) -> Value:
    """Return the position of the only one; 0 where there is none."""
    num_bits = max(1, (len(one_hot) - 1).bit_length())
    return Cat(
        Cat(one_hot[i] for i in range(len(one_hot)) if i >> bit & 1).any()
        for bit in range(num_bits)
    )
