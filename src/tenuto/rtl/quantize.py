"""Rows of float32 as INT8 or INT4, rounded as IEEE arithmetic does."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing

_SMALLEST_EXPONENT = 27
"""Biased exponent of 2^-100, `golden.quantize.SMALLEST_PEAK`."""

_FLOAT = data.StructLayout({"fraction": 23, "exponent": 8, "sign": 1})


class Quantize(wiring.Component):
    """Scale each row so that its largest magnitude becomes the largest integer, and round.

    While a row is stored its largest magnitude is found: floats without their sign are in the
    order of integers. A bit-serial divider makes the scale, rounded once to float32; then each
    value is multiplied, rounded to float32 and rounded to an integer, nearest even each time.

    Throughput: one row at a time, `datm_timing.Quantize.cycles`.

    Parameters:
        size: Bits of a result, channels of the longest row.

    Members:
        i: In, stream of {value: bits of a finite float32, last: of the row}.
        o: Out, stream of {value: signed(bits), last}.

    Source: stage S1 of DATM, `golden.quantize.quantize_rows`, ours.
    """

    def __init__(self, size: datm_timing.Quantize) -> None:
        self.size = size
        value = data.StructLayout({"value": _FLOAT, "last": 1})
        result = data.StructLayout({"value": signed(size.bits), "last": 1})
        super().__init__({"i": In(stream.Signature(value)), "o": Out(stream.Signature(result))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.row = row = memory.Memory(shape=_FLOAT, depth=self.size.max_channels, init=[])
        self.write, self.read = row.write_port(), row.read_port()
        most = max(self.size.max_channels, datm_timing.Quantize.DIVIDE_CYCLES)
        self.position = Signal(range(most + 1))
        self.num_values = Signal.like(self.position)
        self.peak = Signal(_FLOAT)
        self.quotient, self.exponent = Signal(25), Signal(signed(10))
        self.inverse = Signal(24)
        with m.FSM():
            with m.State("LOAD"):
                self._load(m)
            with m.State("DIVIDE"):
                self._divide(m)
            with m.State("EMIT"):
                self._emit(m)
        return m

    def _load(self, m: Module) -> None:
        magnitude = Value.cast(self.i.p.value)[:-1]
        m.d.comb += [
            self.i.ready.eq(1),
            self.write.addr.eq(self.position),
            self.write.data.eq(self.i.p.value),
            self.write.en.eq(self.i.valid),
        ]
        with m.If(self.i.valid):
            m.d.sync += self.position.eq(self.position + 1)
            with m.If(magnitude > Value.cast(self.peak)):
                m.d.sync += self.peak.eq(magnitude)
            with m.If(self.i.p.last):
                m.d.sync += [self.num_values.eq(self.position + 1), self.position.eq(0)]
                m.next = "DIVIDE"

    def _divide(self, m: Module) -> None:
        """Divide the levels by the peak: 25 bits, the last for rounding, and what is left."""
        levels = (1 << (self.size.bits - 1)) - 1
        numerator = levels << (25 - self.size.bits)
        divisor = Cat(self.peak.fraction, 1)
        is_above = divisor > numerator
        left = Signal(25)
        doubled = left << 1
        fits = doubled >= divisor
        m.d.sync += [
            self.position.eq(self.position + 1),
            left.eq(Mux(fits, doubled - divisor, doubled)),
            self.quotient.eq(Cat(fits, self.quotient)),
        ]
        with m.If(self.position == 0):
            m.d.sync += [
                left.eq(Mux(is_above, 2 * numerator, numerator) - divisor),
                self.quotient.eq(1),
                self.exponent.eq(self.size.bits - 2 - self.peak.exponent - is_above),
            ]
        with m.If(self.position == datm_timing.Quantize.DIVIDE_CYCLES - 1):
            m.d.sync += [
                self.inverse.eq(_nearest_even(self.quotient, 1, left.any())),
                self.position.eq(0),
            ]
            m.next = "EMIT"

    def _emit(self, m: Module) -> None:
        """Read a value a cycle, multiply it in the next, round it behind the product."""
        moves, has_product = Signal(), Signal()
        product, sign, is_last = Signal(48), Signal(), Signal()
        exponent = Signal(signed(10))
        value, next_position = self.read.data, Signal.like(self.position)
        is_read = self.position != self.num_values
        is_zero = (value.exponent == 0) | (self.peak.exponent < _SMALLEST_EXPONENT)
        m.d.comb += [
            moves.eq(~self.o.valid | self.o.ready),
            next_position.eq(Mux(moves & is_read, self.position + 1, self.position)),
            self.read.addr.eq(next_position),
        ]
        m.d.sync += self.position.eq(next_position)
        with m.If(moves):
            m.d.sync += [
                has_product.eq(is_read),
                product.eq(Mux(is_zero, 0, Cat(value.fraction, 1) * self.inverse)),
                exponent.eq(value.exponent + self.exponent),
                sign.eq(value.sign),
                is_last.eq(self.position == self.num_values - 1),
                self.o.valid.eq(has_product),
                self.o.p.value.eq(_signed(sign, _integer(product, exponent, self.size.bits))),
                self.o.p.last.eq(is_last),
            ]
        with m.If(self.o.valid & self.o.ready & self.o.p.last):
            m.d.sync += [self.position.eq(0), self.peak.eq(0)]
            m.next = "LOAD"


def _nearest_even(value: Value, places: int, has_rest: Value) -> Value:
    """Drop places from a number, rounding to nearest, ties to even; `has_rest` lies below it."""
    kept = value[places:]
    half, rest = value[places - 1], value[: places - 1].any() | has_rest
    return kept + (half & (rest | kept[0]))


def _integer(product: Value, exponent: Value, bits: int) -> Value:
    """Return the integer nearest to a product of mantissas, after rounding it to 24 bits.

    Args:
        product: 48 bits, the highest or the second highest of them 1, or 0.
        exponent: Of the second highest bit, at most that of the largest result.
        bits: Of the result with its sign.
    """
    is_high = product[47]
    aligned = Mux(is_high, product, product << 1)[:48]
    mantissa = _nearest_even(aligned, 24, 0)  # 25 bits: rounding may reach the next power
    fraction_places = 23 - exponent - is_high
    largest = bits - 2  # exponent of the largest result
    integer = 0
    for places in range(23 - largest, 25):  # below a half everything is 0
        integer = Mux(fraction_places == places, _nearest_even(mantissa, places, 0), integer)
    return integer[: bits - 1]


def _signed(sign: Value, magnitude: Value) -> Value:
    return Mux(sign, -magnitude, magnitude)
