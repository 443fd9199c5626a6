"""The DATM engine: from the quantized tokens of a frame to its match plan."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In

from tenuto import datm_engine_timing
from tenuto.golden.datm import FULL
from tenuto.rtl.budget_select import BudgetSelect
from tenuto.rtl.pair_writer import PairWriter
from tenuto.rtl.similarity_array import SimilarityArray
from tenuto.rtl.window_assign import WindowAssign
from tenuto.rtl.window_rank import WindowRank


class Datm(wiring.Component):
    """Match the tokens of a frame; windows compete for one budget of destinations.

    The windows of a frame come twice. In the first pass all columns of a window are multiplied
    and its tokens are put in the order of their gains; when the frame is over its budget is
    spent. In the second pass only the columns of destinations are multiplied, each token takes
    the most similar one, and the pairs that lose least are written. Between the passes a bit a
    token is all that is kept. Back-pressure anywhere stops only what waits for it.

    Throughput: `datm_engine_timing.Datm.cycles`.

    Parameters:
        size: Tokens, channels and windows, destinations and reduced tokens of a frame.

    Members:
        i: In, stream of one channel of a window's tokens, tokens x signed(8), channels in order;
            all windows of a frame, and all of them again.
        o: Out, stream of {is_pair, token, partner, last: of the frame}: the kept tokens, then the
            pairs, as `PairWriter`; token n is number n % tokens of window n // tokens.

    Source: DATM (ORBIS, arXiv 2605.22015) as `golden.datm.match` reconstructs it, with windows of
    consecutive tokens, all of one size. Two passes in the place of a memory for the similarities
    of all windows are ours.
    """

    def __init__(self, size: datm_engine_timing.Datm) -> None:
        self.size = size
        self.writer = PairWriter(size.writer)
        channel = data.ArrayLayout(signed(8), size.array.tokens)
        super().__init__(
            {"i": In(stream.Signature(channel)), "o": self.writer.signature.members["o"]}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        m.submodules.array = array = SimilarityArray(size.array)
        m.submodules.rank = rank = WindowRank(size.select.rank)
        m.submodules.select = select = BudgetSelect(size.select)
        m.submodules.assign = assign = WindowAssign(size.assign)
        m.submodules.writer = self.writer
        self._feed(m, array.i, select.o)
        self._route(m, array.o, rank.i, assign.i)
        wiring.connect(m, rank.o, select.i)
        self._write(m, assign.o)
        wiring.connect(m, self.writer.o, wiring.flipped(self.o))
        return m

    def _is_second(self, m: Module, name: str, is_window_done: Value) -> Signal:
        """Return whether a frame's second pass is on, counting windows."""
        window, is_second = Signal(range(self.size.num_windows), name=f"{name}_window"), Signal()
        with m.If(is_window_done):
            m.d.sync += window.eq(window + 1)
            with m.If(window == self.size.num_windows - 1):
                m.d.sync += [window.eq(0), is_second.eq(~is_second)]
        return is_second

    def _feed(self, m: Module, array: stream.Interface, chosen: stream.Interface) -> None:
        """Send channels on; a window's last one of the second pass needs to know what to do."""
        channel = Signal(range(self.size.array.channels))
        is_last = channel == self.size.array.channels - 1
        moves = array.valid & array.ready
        is_second = self._is_second(m, "feed", moves & is_last)
        waits = is_second & is_last & ~chosen.valid
        m.d.comb += [
            array.valid.eq(self.i.valid & ~waits),
            self.i.ready.eq(array.ready & ~waits),
            array.p.channel.eq(self.i.payload),
            array.p.wanted.eq(Mux(is_second, chosen.payload, -1)),
            chosen.ready.eq(is_second & is_last & moves),
        ]
        with m.If(moves):
            m.d.sync += channel.eq(Mux(is_last, 0, channel + 1))

    def _route(
        self, m: Module, column: stream.Interface, rank: stream.Interface, assign: stream.Interface
    ) -> None:
        """Send the columns of the first pass to be ranked, those of the second to be compared."""
        is_done = column.valid & column.ready & column.p.last
        is_second = self._is_second(m, "route", is_done)
        m.d.comb += [
            rank.valid.eq(column.valid & ~is_second),
            rank.payload.eq(column.p.cosines),
            assign.valid.eq(column.valid & is_second),
            assign.payload.eq(column.payload),
            column.ready.eq(Mux(is_second, assign.ready, rank.ready)),
        ]

    def _write(self, m: Module, match: stream.Interface) -> None:
        """Number the tokens and turn likenesses into losses."""
        tokens, writer = self.size.array.tokens, self.writer.i
        position, first = Signal(range(tokens)), Signal(range(self.size.num_tokens))
        is_window_done = position == tokens - 1
        is_last = is_window_done & (first == self.size.num_tokens - tokens)
        m.d.comb += [
            writer.valid.eq(match.valid),
            match.ready.eq(writer.ready),
            writer.p.is_candidate.eq(~match.p.is_destination),
            writer.p.loss.eq(FULL - match.p.likeness),
            writer.p.partner.eq(first + match.p.nearest),
            writer.p.last.eq(is_last),
            writer.p.quota.eq(self.size.num_reduced),
        ]
        with m.If(match.valid & match.ready):
            m.d.sync += position.eq(Mux(is_window_done, 0, position + 1))
            with m.If(is_window_done):
                m.d.sync += first.eq(Mux(is_last, 0, first + tokens))
