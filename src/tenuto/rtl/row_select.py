"""What a row of predicted scores says: which keys to keep, or that one key stands for the row."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import hardware_timing


class RowSelect(wiring.Component):
    """Keep the largest scores of each row, find one-hot rows, and collect the needed keys.

    A register per kept score holds the largest so far in falling order; a new score moves in
    behind its equals, so ties keep the lower key. The bitmap follows: one bit is set and the
    bit of the score that drops out is cleared.

    Latency: 2 cycles from a row's last score to its decision. Throughput: 1 score a cycle, rows
    without a gap.

    Parameters:
        size: Keys, kept keys and score width.

    Members:
        i: In, stream of {score, last: of the row, margin: read with `last`, ends_block: with
            `last`, the needed keys begin anew after this row}.
        o: Out, stream of one decision a row: {one_hot: the largest score leads the second one by
            more than `margin`, all ones for never; best: key of the largest score; keep: bitmap
            of the `num_kept` largest, of the best alone where the row is one-hot; needed_keys,
            needed_values: what this row and those before it in the block need}.

    Source: EXION (arXiv 2501.05680): top-k entries, one-hot rows, unneeded keys; the structure is
    ours.
    """

    def __init__(self, size: hardware_timing.RowSelect) -> None:
        self.size = size
        score = data.StructLayout(
            {"score": signed(size.bits), "last": 1, "margin": size.bits, "ends_block": 1}
        )
        super().__init__(
            {
                "i": In(stream.Signature(score)),
                "o": Out(stream.Signature(decision_layout(size))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        moves = Signal()
        m.d.comb += [moves.eq(~self.o.valid | self.o.ready), self.i.ready.eq(moves)]
        ranked, keep = self._rank(m, moves & self.i.valid)
        is_done, ends_block = Signal(), Signal()
        margin = Signal(self.size.bits)
        with m.If(moves):
            m.d.sync += [
                is_done.eq(self.i.valid & self.i.p.last),
                margin.eq(self.i.p.margin),
                ends_block.eq(self.i.p.ends_block),
                self.o.valid.eq(is_done),
            ]
        lead = ranked[0].score - ranked[1].score
        one_hot = ranked[1].valid & (lead > margin)
        with m.If(moves & is_done):
            self._decide(m, one_hot, ranked[0].index, keep, ends_block)
        return m

    def _rank(self, m: Module, accepts: Value) -> tuple[list[data.View], Signal]:
        """First stage: let the score into its place; return the ranked scores and the bitmap."""
        size = self.size
        rank = data.StructLayout(
            {"score": signed(size.bits), "index": range(size.max_keys), "valid": 1}
        )
        ranked = [Signal(rank, name=f"rank{place}") for place in range(max(2, size.num_kept))]
        key = Signal(range(size.max_keys))
        keep = Signal(size.max_keys)
        is_first = Signal(init=1)
        score = self.i.p.score
        beats = [is_first | ~held.valid | (score > held.score) for held in ranked]
        dropped = ranked[size.num_kept - 1]
        is_kept = beats[size.num_kept - 1]
        cleared = Mux(is_kept & dropped.valid, 1 << dropped.index, 0)
        with m.If(accepts):
            m.d.sync += [
                is_first.eq(self.i.p.last),
                key.eq(Mux(self.i.p.last, 0, key + 1)),
                keep.eq(Mux(is_first, 1, (keep & ~cleared) | (is_kept << key))),
            ]
            for place, held in enumerate(ranked):
                with m.If(beats[place]):
                    m.d.sync += [held.score.eq(score), held.index.eq(key), held.valid.eq(1)]
                    if place:
                        with m.If(is_first):
                            m.d.sync += held.valid.eq(0)
                        with m.Elif(beats[place - 1]):
                            m.d.sync += held.eq(ranked[place - 1])
        return ranked, keep

    def _decide(
        self, m: Module, one_hot: Value, best: Value, keep: Value, ends_block: Value
    ) -> None:
        """Second stage: the decision, and the union over the block's rows."""
        kept = Signal(self.size.max_keys)
        m.d.comb += kept.eq(Mux(one_hot, 1 << best, keep))
        m.d.sync += [self.o.p.one_hot.eq(one_hot), self.o.p.best.eq(best), self.o.p.keep.eq(kept)]
        for name, needs in (("needed_keys", Mux(one_hot, 0, keep)), ("needed_values", kept)):
            collected = Signal(self.size.max_keys, name=f"{name}_collected")
            needed = Signal(self.size.max_keys, name=f"{name}_now")
            m.d.comb += needed.eq(collected | needs)
            m.d.sync += [self.o.p[name].eq(needed), collected.eq(Mux(ends_block, 0, needed))]


def decision_layout(size: hardware_timing.RowSelect) -> data.StructLayout:
    """Return the payload of a decision."""
    return data.StructLayout(
        {
            "one_hot": 1,
            "best": range(size.max_keys),
            "keep": size.max_keys,
            "needed_keys": size.max_keys,
            "needed_values": size.max_keys,
        }
    )
