"""Log-domain dot product: shifts and adders in the place of multipliers."""

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import hardware_timing
from tenuto.rtl.leading_one import TwoStepLeadingOne, binary_from_one_hot


class LogDot(wiring.Component):
    """Add up products of two-step leading-one operands.

    Four stages: find the ones; shift and add; add up the lanes; accumulate until `last`. All stages
    stop together while a result waits, so nothing is lost.

    Latency: 4 cycles from the beat with `last` to its result. Throughput: 1 beat a cycle.

    Parameters:
        size: Lanes, operand width and longest dot product.
        tag_bits: Width of a note that the last beat carries to its result.

    Members:
        i: In, stream of {x: lanes x signed(bits), w: the same, last: the dot product ends here,
            tag}.
        o: Out, stream of {sum: signed(size.result_bits), tag}.

    Source: EXION (arXiv 2501.05680), eager prediction; the stages are ours.
    """

    def __init__(self, size: hardware_timing.LogDot, tag_bits: int = 0) -> None:
        self.size = size
        self.tag_bits = tag_bits
        lanes = data.ArrayLayout(signed(size.bits), size.lanes)
        beat = data.StructLayout({"x": lanes, "w": lanes, "last": 1, "tag": tag_bits})
        result = data.StructLayout({"sum": signed(size.result_bits), "tag": tag_bits})
        super().__init__({"i": In(stream.Signature(beat)), "o": Out(stream.Signature(result))})

    def elaborate(self, platform) -> Module:
        m = Module()
        moves = Signal()
        m.d.comb += [moves.eq(~self.o.valid | self.o.ready), self.i.ready.eq(moves)]
        valid, last, tag = self._notes(m, moves)
        operands = [self._operands(m, moves, lane) for lane in range(self.size.lanes)]
        products = [self._product(m, moves, x, w) for x, w in operands]
        total = Signal(signed(self.size.result_bits))
        with m.If(moves):
            m.d.sync += total.eq(tree_sum(products))
        with m.If(moves):
            m.d.sync += [self.o.valid.eq(valid & last), self.o.p.tag.eq(tag)]
        self._accumulate(m, moves & valid, last, total)
        return m

    def _notes(self, m: Module, moves: Signal) -> tuple[Value, Value, Value]:
        """What goes beside the data through the first three stages: valid, last, tag."""
        notes = (self.i.valid, self.i.p.last, self.i.p.tag)
        for stage in range(3):
            held = tuple(
                Signal(Value.cast(note).shape(), name=f"{name}{stage}")
                for name, note in zip(("valid", "last", "tag"), notes, strict=True)
            )
            with m.If(moves):
                m.d.sync += [now.eq(before) for now, before in zip(held, notes, strict=True)]
            notes = held
        return notes

    def _operands(self, m: Module, moves: Signal, lane: int) -> tuple[data.View, data.View]:
        """First stage of one lane: the two ones of each operand."""
        found = []
        for name in ("x", "w"):
            m.submodules[f"{name}{lane}"] = finder = TwoStepLeadingOne(self.size.bits)
            m.d.comb += finder.x.eq(self.i.p[name][lane])
            held = Signal(self._operand_layout(), name=f"{name}{lane}_ones")
            with m.If(moves):
                m.d.sync += [
                    held.negative.eq(finder.negative),
                    held.first.eq(binary_from_one_hot(finder.first)),
                    held.second.eq(binary_from_one_hot(finder.second)),
                    held.has_first.eq(finder.first.any()),
                    held.has_second.eq(finder.second.any()),
                ]
            found.append(held)
        return found[0], found[1]

    def _operand_layout(self) -> data.StructLayout:
        position = range(self.size.bits)
        return data.StructLayout(
            {"negative": 1, "first": position, "second": position, "has_first": 1, "has_second": 1}
        )

    def _product(self, m: Module, moves: Signal, x: data.View, w: data.View) -> Value:
        """Second stage of one lane: w's two ones, shifted by each of x's and added."""
        ones = Signal(self.size.bits)
        m.d.comb += ones.eq((w.has_first << w.first) | (w.has_second << w.second))
        sum_bits = 2 * self.size.bits
        high = Mux(x.has_first, ones << x.first, 0)
        low = Mux(x.has_second, ones << x.second, 0)
        magnitude = Signal(unsigned(sum_bits))
        m.d.comb += magnitude.eq(high + low)
        product = Signal(signed(sum_bits + 1))
        with m.If(moves):
            m.d.sync += product.eq(Mux(x.negative ^ w.negative, -magnitude, magnitude))
        return product

    def _accumulate(self, m: Module, adds: Value, last: Value, total: Signal) -> None:
        """Fourth stage: the running sum leaves with the last beat and begins again at 0."""
        running = Signal(signed(self.size.result_bits))
        with m.If(adds):
            m.d.sync += [
                running.eq(Mux(last, 0, running + total)),
                self.o.p.sum.eq(running + total),
            ]


def tree_sum(terms: list[Value]) -> Value:
    """Add up in a balanced tree; no level overflows, the width grows by a bit each."""
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + ([terms[-1]] if len(terms) % 2 else [])
    return terms[0]
