"""Restore on store: every token gets an output row, computed or predicted and corrected."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import hardware_timing


class Restore(wiring.Component):
    """Add the partner's innovation to each token's own prediction, with saturation.

    The computed rows of a window come first: their difference from their own prediction (their
    innovation) is kept in a memory. Then every token follows with its prediction and the place of
    its partner, a computed token naming itself: `prediction + innovation` is the computed row
    again, to the bit. Without `corrects` the predictions count as 0 and partners' rows are copied.

    Latency: 2 cycles from a token's beat to its output. Throughput: 1 beat a cycle; beats of
    computed rows make no output.

    Parameters:
        size: Lanes, channel width, places and beats of a row.

    Members:
        i: In, stream of {is_computed, corrects, address: place * row_beats + beat, computed:
            lanes x signed(bits), ignored for tokens, predicted: lanes x signed(bits)}.
        o: Out, stream of lanes x signed(bits).

    Source: the restore path of ORBIS (arXiv 2605.22015) as reconstructed; correction is ours.
    """

    def __init__(self, size: hardware_timing.Restore) -> None:
        self.size = size
        lanes = data.ArrayLayout(signed(size.bits), size.lanes)
        beat = data.StructLayout(
            {
                "is_computed": 1,
                "corrects": 1,
                "address": range(size.num_places * size.row_beats),
                "computed": lanes,
                "predicted": lanes,
            }
        )
        super().__init__({"i": In(stream.Signature(beat)), "o": Out(stream.Signature(lanes))})

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        moves = Signal()
        m.d.comb += [moves.eq(~self.o.valid | self.o.ready), self.i.ready.eq(moves)]
        innovations = data.ArrayLayout(signed(size.bits + 1), size.lanes)
        m.submodules.store = store = memory.Memory(
            shape=innovations, depth=size.num_places * size.row_beats, init=[]
        )
        write = store.write_port()
        read = store.read_port(transparent_for=(write,))
        accepts = self.i.valid & moves
        m.d.comb += [
            write.addr.eq(self.i.p.address),
            write.en.eq(accepts & self.i.p.is_computed),
            read.addr.eq(self.i.p.address),
            read.en.eq(moves),
        ]
        predicted = [Mux(self.i.p.corrects, value, 0) for value in self.i.p.predicted]
        is_token = Signal()
        held = Signal(data.ArrayLayout(signed(size.bits), size.lanes))
        with m.If(moves):
            m.d.sync += [is_token.eq(accepts & ~self.i.p.is_computed), self.o.valid.eq(is_token)]
        for lane, prediction in enumerate(predicted):
            m.d.comb += write.data[lane].eq(self.i.p.computed[lane] - prediction)
            with m.If(moves):
                m.d.sync += [
                    held[lane].eq(prediction),
                    self.o.payload[lane].eq(saturated(held[lane] + read.data[lane], size.bits)),
                ]
        return m


def saturated(value: Value, bits: int) -> Value:
    """Return a signed value, or the nearest that `bits` bits hold."""
    least, most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return Mux(value > most, most, Mux(value < least, least, value))
