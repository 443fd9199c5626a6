"""The eager predictor's row unit: predicted scores of one query row, and what they need."""

from amaranth.hdl import Cat, Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import hardware_timing
from tenuto.rtl.log_dot import LogDot
from tenuto.rtl.row_select import RowSelect, decision_layout


class EagerRow(wiring.Component):
    """Predict a row's scores from the query and the keys, and decide what will be computed.

    A log-domain dot product a key, then the selection; the two run as one pipeline.

    Latency: 6 cycles from a row's last beat to its decision. Throughput: 1 beat a cycle, so a key
    takes ceil(head_dim / lanes) cycles.

    Parameters:
        size: Sizes of the dot product and of the selection, whose scores have the same width.

    Members:
        i: In, stream of beats {x: of the query, w: of the key, last: of the dot product, row_last:
            of the row, margin, ends_block}; the last three are read with `last`.
        o: Out, stream of decisions, as `RowSelect` makes them.

    Source: EXION (arXiv 2501.05680), eager prediction; the structure is ours.
    """

    def __init__(self, size: hardware_timing.EagerRow) -> None:
        self.size = size
        lanes = data.ArrayLayout(signed(size.dot.bits), size.dot.lanes)
        beat = data.StructLayout(
            {
                "x": lanes,
                "w": lanes,
                "last": 1,
                "row_last": 1,
                "margin": size.dot.result_bits,
                "ends_block": 1,
            }
        )
        super().__init__(
            {
                "i": In(stream.Signature(beat)),
                "o": Out(stream.Signature(decision_layout(size.select))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        note = Cat(self.i.p.row_last, self.i.p.margin, self.i.p.ends_block)
        m.submodules.dot = dot = LogDot(self.size.dot, tag_bits=len(note))
        m.submodules.select = select = RowSelect(self.size.select)
        m.d.comb += [
            dot.i.p.x.eq(self.i.p.x),
            dot.i.p.w.eq(self.i.p.w),
            dot.i.p.last.eq(self.i.p.last),
            dot.i.p.tag.eq(note),
            dot.i.valid.eq(self.i.valid),
            self.i.ready.eq(dot.i.ready),
            select.i.p.score.eq(dot.o.p.sum),
            Cat(select.i.p.last, select.i.p.margin, select.i.p.ends_block).eq(dot.o.p.tag),
            select.i.valid.eq(dot.o.valid),
            dot.o.ready.eq(select.i.ready),
        ]
        wiring.connect(m, select.o, wiring.flipped(self.o))
        return m
