"""Top-k and arg-max of a row: ties go to the lowest key."""

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from tenuto import hardware_timing
from tenuto.rtl.column_sort import population
from tenuto.rtl.proofs.stream_rules import Observed
from tenuto.rtl.prove import Proof
from tenuto.rtl.row_select import RowSelect

_SIZE = hardware_timing.RowSelect(max_keys=3, num_kept=2, bits=2)


class _Ranks(Observed):
    """Beside the unit its row's scores are kept, and every key's rank is counted from them."""

    def __init__(self) -> None:
        super().__init__(RowSelect(_SIZE))

    def observe(self, m: Module) -> None:
        dut = self.dut
        decided = self._rows(m)
        scores, length, margin, is_valid = decided
        m.d.comb += Assert(dut.o.valid == is_valid)
        before = [self._better(scores, length, key) for key in range(_SIZE.max_keys)]
        keep = Cat((key < length) & (rank < _SIZE.num_kept) for key, rank in enumerate(before))
        m.d.comb += Assert(~dut.o.valid | dut.o.p.one_hot | (dut.o.p.keep == keep))
        m.d.comb += Assert(~(dut.o.valid & (length == 1)) | ~dut.o.p.one_hot)
        for key, rank in enumerate(before):
            is_best = (key < length) & (rank == 0)
            alone = dut.o.p.keep == 1 << key
            m.d.comb += [
                Assert(~(dut.o.valid & is_best) | (dut.o.p.best == key)),
                Assert(~(dut.o.valid & is_best & dut.o.p.one_hot) | alone),
            ]
            for other, other_rank in enumerate(before):
                is_second = (other < length) & (other_rank == 1)
                leads = scores[key] - scores[other] > margin
                holds = dut.o.valid & is_best & is_second
                m.d.comb += Assert(~holds | (dut.o.p.one_hot == leads))

    def _better(self, scores: data.View, length: Value, key: int) -> Value:
        """Return how many keys come before a key: larger scores, and equal ones of lower keys."""
        return population(
            Cat(
                (other < length)
                & (scores[other] >= scores[key] if other < key else scores[other] > scores[key])
                for other in range(_SIZE.max_keys)
                if other != key
            )
        )

    def _rows(self, m: Module) -> tuple[data.View, Value, Value, Value]:
        """Return scores, length, margin and validity of the row in the output stage."""
        layout = data.ArrayLayout(signed(_SIZE.bits), _SIZE.max_keys)
        filling = Signal(layout)
        key = Signal(range(_SIZE.max_keys))
        moves = ~self.dut.o.valid | self.dut.o.ready
        with_this = Signal(layout)
        m.d.comb += [with_this.eq(filling), with_this[key].eq(self.i.p.score)]
        m.d.comb += Assume(~self.i.valid | self.i.p.last | (key != _SIZE.max_keys - 1))
        with m.If(self.i.valid & moves):
            m.d.sync += [filling.eq(with_this), key.eq(Mux(self.i.p.last, 0, key + 1))]
        row = (with_this, key + 1, self.i.p.margin, self.i.valid & self.i.p.last)
        shapes = (layout, range(_SIZE.max_keys + 1), _SIZE.bits, 1)
        for stage in range(_SIZE.latency_cycles):
            held = tuple(
                Signal(shape, name=f"{name}{stage}")
                for name, shape in zip(("scores", "length", "margin", "valid"), shapes, strict=True)
            )
            with m.If(moves):
                m.d.sync += [now.eq(before) for now, before in zip(held, row, strict=True)]
            row = held
        return row


PROOFS = (
    Proof(
        name="row-select-ties",
        claim="a row's decision comes once, 2 unstalled cycles after its last score: kept are the "
        "largest scores, best is the largest, equal scores go to the lower key, and a row is "
        "one-hot exactly if the lead exceeds the margin (3 keys of 2 bits, 2 kept)",
        top=_Ranks,
        depth=8,
        is_bounded=True,
    ),
)
