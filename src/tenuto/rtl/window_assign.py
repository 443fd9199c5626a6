"""Each token's destination: a running maximum over the columns of the chosen ones."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing
from tenuto.rtl.similarity_array import column_layout


class WindowAssign(wiring.Component):
    """Find the most similar destination of each token of a window, ties to the lowest position.

    Throughput: one window at a time, `datm_timing.WindowAssign.cycles`.

    Parameters:
        size: Tokens of a window, and bits of a similarity.

    Members:
        i: In, stream of {cosines, position, last: of the window}, a destination a transfer,
            positions rising.
        o: Out, stream of one transfer a token, in order: {is_destination, nearest: position of
            the most similar destination, likeness: similarity to it}.

    Source: stage S6 of DATM (ORBIS, arXiv 2605.22015) as `golden.datm` reconstructs it.
    """

    def __init__(self, size: datm_timing.WindowAssign) -> None:
        self.size = size
        match = data.StructLayout(
            {"is_destination": 1, "nearest": range(size.tokens), "likeness": size.bits}
        )
        column = column_layout(size.tokens, size.bits)
        super().__init__({"i": In(stream.Signature(column)), "o": Out(stream.Signature(match))})

    def elaborate(self, platform) -> Module:
        m = Module()
        tokens = self.size.tokens
        matches = Array(Signal(self.o.payload.shape(), name=f"match{n}") for n in range(tokens))
        is_begun, token = Signal(), Signal(range(tokens))
        with m.FSM():
            with m.State("LOAD"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += is_begun.eq(1)
                    self._compare(m, list(matches), is_begun)
                    with m.If(self.i.p.last):
                        m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(matches[token])]
                with m.If(self.o.ready):
                    m.d.sync += token.eq(token + 1)
                    with m.If(token == tokens - 1):
                        m.d.sync += [token.eq(0), is_begun.eq(0)]
                        m.next = "LOAD"
        return m

    def _compare(self, m: Module, matches: list[data.View], is_begun: Signal) -> None:
        for token, match in enumerate(matches):
            is_own = self.i.p.position == token
            likeness = self.i.p.cosines[token]
            m.d.sync += match.is_destination.eq(is_own | (is_begun & match.is_destination))
            with m.If(~is_begun | (likeness > match.likeness)):
                m.d.sync += [match.nearest.eq(self.i.p.position), match.likeness.eq(likeness)]
