"""The DATM engine: from the quantized tokens of a frame to its match plan."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing
from tenuto.golden.datm import FULL
from tenuto.rtl.loss_threshold import LossThreshold
from tenuto.rtl.similarity_array import SimilarityArray
from tenuto.rtl.window_match import WindowMatch


class Datm(wiring.Component):
    """Match the tokens of a frame, window by window, and reduce those that lose least.

    Cosines of a window, its destinations and their assignment, and over all windows the histogram
    of losses. Back-pressure anywhere stops only what waits for it.

    Throughput: `datm_timing.Datm.cycles`; a window is multiplied while the one before is matched.

    Parameters:
        size: Tokens, channels and windows, destinations of a window, reduced tokens of a frame.

    Members:
        i: In, stream of one channel of a window's tokens, tokens x signed(8), channels in order.
        o: Out, stream of one transfer a token, windows in order: {is_reduced, last: of the frame,
            partner: position in the window of the token that stands for a reduced one}.

    Source: DATM (ORBIS, arXiv 2605.22015) as `golden.datm` reconstructs it, but with a budget for
    each window in the place of one for the frame.
    """

    def __init__(self, size: datm_timing.Datm) -> None:
        self.size = size
        channel = data.ArrayLayout(signed(8), size.array.tokens)
        plan = data.StructLayout({"is_reduced": 1, "last": 1, "partner": range(size.array.tokens)})
        super().__init__({"i": In(stream.Signature(channel)), "o": Out(stream.Signature(plan))})

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        m.submodules.array = array = SimilarityArray(size.array)
        m.submodules.match = match = WindowMatch(size.match)
        position_bits = (size.array.tokens - 1).bit_length()
        m.submodules.threshold = threshold = LossThreshold(size.threshold, position_bits)
        wiring.connect(m, wiring.flipped(self.i), array.i)
        wiring.connect(m, array.o, match.i)
        token = Signal(range(size.num_tokens))
        is_last = token == size.num_tokens - 1
        m.d.comb += [
            threshold.i.p.is_candidate.eq(~match.o.p.is_destination),
            threshold.i.p.loss.eq(FULL - match.o.p.likeness),
            threshold.i.p.last.eq(is_last),
            threshold.i.p.quota.eq(size.num_reduced),
            threshold.i.p.note.eq(match.o.p.nearest),
            threshold.i.valid.eq(match.o.valid),
            match.o.ready.eq(threshold.i.ready),
            self.o.p.is_reduced.eq(threshold.o.p.is_reduced),
            self.o.p.last.eq(threshold.o.p.last),
            self.o.p.partner.eq(threshold.o.p.note),
            self.o.valid.eq(threshold.o.valid),
            threshold.o.ready.eq(self.o.ready),
        ]
        with m.If(match.o.valid & match.o.ready):
            m.d.sync += token.eq(Mux(is_last, 0, token + 1))
        return m
