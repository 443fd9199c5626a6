"""The lists of a frame hold every token once, and the pairs are those of least loss."""

from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import data

from tenuto import datm_timing
from tenuto.rtl.column_sort import population
from tenuto.rtl.pair_writer import PairWriter
from tenuto.rtl.proofs.stream_rules import Observed
from tenuto.rtl.prove import Proof

_SIZE = datm_timing.PairWriter(max_tokens=2, bits=1)


class _Lists(Observed):
    """Losses, candidates and the quota of the last frame are kept beside the unit."""

    def __init__(self) -> None:
        super().__init__(PairWriter(_SIZE))

    def observe(self, m: Module) -> None:
        loss, is_candidate, partner = self._remember(m)
        self._assert_lists(m, loss, is_candidate, partner)

    def _remember(self, m: Module) -> tuple[Signal, Signal, Signal]:
        tokens = _SIZE.max_tokens
        loss, is_candidate = Signal(tokens), Signal(tokens)
        partner = Signal(data.ArrayLayout(range(tokens), tokens))
        loaded, payload = Signal(range(tokens + 1)), self.i.p
        self.quota = Signal(range(tokens + 1))
        candidates = population(is_candidate) + payload.is_candidate
        m.d.comb += [
            Assume(~self.i.valid | (payload.last == (loaded == tokens - 1))),
            Assume(~(self.i.valid & payload.last) | (payload.quota <= candidates)),
            Assume(payload.partner < tokens),
        ]
        with m.If(self.i.valid & self.dut.i.ready):
            m.d.sync += [
                loaded.eq(loaded + 1),
                loss.bit_select(loaded, 1).eq(payload.loss),
                is_candidate.bit_select(loaded, 1).eq(payload.is_candidate),
                partner[loaded].eq(payload.partner),
                self.quota.eq(payload.quota),
            ]
        with m.If(self.dut.o.valid & self.taken & self.dut.o.p.last):
            m.d.sync += [loaded.eq(0), is_candidate.eq(0)]
        return loss, is_candidate, partner

    def _assert_lists(self, m: Module, loss: Signal, is_candidate: Signal, partner: Signal) -> None:
        o, tokens = self.dut.o, _SIZE.max_tokens
        seen, pairs = Signal(tokens), Signal(range(tokens + 1))
        token, was = o.p.token, Signal.like(o.p)
        mine, before = loss.bit_select(token, 1), loss.bit_select(was.token, 1)
        in_order = (mine > before) | ((mine == before) & (token > was.token))
        num_kept = population(seen)
        with m.If(o.valid):
            m.d.comb += [
                Assert(~seen.bit_select(token, 1)),
                Assert(o.p.last == (num_kept == tokens - 1)),
                Assert(~o.p.last | (pairs + o.p.is_pair == self.quota)),
                Assert(o.p.is_pair | (pairs == 0)),
            ]
            with m.If(o.p.is_pair):
                m.d.comb += [
                    Assert(is_candidate.bit_select(token, 1)),
                    Assert(o.p.partner == partner[token]),
                    Assert(~was.is_pair | in_order),
                ]
            with m.Elif(seen.any()):
                m.d.comb += Assert(token > was.token)
            with m.If(o.ready):
                m.d.sync += [
                    was.eq(o.p),
                    seen.eq(seen | (1 << token)),
                    pairs.eq(pairs + o.p.is_pair),
                ]
                with m.If(o.p.last):
                    m.d.sync += [seen.eq(0), pairs.eq(0), was.eq(0)]


PROOFS = (
    Proof(
        name="pair-writer-lists",
        claim="every token leaves once, kept ones rising, then as many pairs as the quota says, "
        "each with its own partner and in the order of loss and token, under any stalls "
        "(2 tokens, losses of 1 bit)",
        top=_Lists,
        depth=12,
        is_bounded=True,
    ),
)
