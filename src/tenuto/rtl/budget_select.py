"""The arbiter of the DATM engine: which tokens are destinations when windows share one budget."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import datm_timing
from tenuto.rtl.histogram import Histogram


class BudgetSelect(wiring.Component):
    """Mark the first token of each window and, of all others, those of the largest gains.

    Gains within a window never grow, so letting windows compete for each destination takes the
    largest gains of the frame, ties to the lower window, then to the earlier token. The smallest
    gain that is taken is found digit by digit, the highest first: each pass counts one digit of
    the gains that begin like it, and adds the counts up from the top.

    Throughput: one frame at a time, `datm_timing.BudgetSelect.cycles`.

    Parameters:
        size: Tokens of a window, windows and destinations of a frame, digits.

    Members:
        i: In, stream of {gain, position}, the tokens of each window in the order of `WindowRank`.
        o: Out, stream of a bitmap a window, 1 for the positions of its destinations.

    Source: stage S5 of DATM (ORBIS, arXiv 2605.22015) as `golden.datm` reconstructs it; the
    search by digits is ours.
    """

    def __init__(self, size: datm_timing.BudgetSelect) -> None:
        self.size = size
        self.position = range(size.rank.tokens)
        step = data.StructLayout({"gain": size.rank.gain_bits, "position": self.position})
        bitmap = stream.Signature(size.rank.tokens)
        super().__init__({"i": In(stream.Signature(step)), "o": Out(bitmap)})

    def elaborate(self, platform) -> Module:
        m = Module()
        self._make_storage(m)
        m.d.comb += [self.next_number.eq(self.number), self.read.addr.eq(self.next_number)]
        m.d.sync += self.number.eq(self.next_number)
        with m.FSM():
            with m.State("LOAD"):
                self._load(m)
            with m.State("SCAN"):
                self._scan(m)
            with m.State("COUNT"):
                self._count(m)
            with m.State("MARK"):
                self._mark(m)
            with m.State("HAND"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(self.bitmap)]
                with m.If(self.o.ready):
                    m.d.sync += self.bitmap.eq(0)
                    m.next = "MARK"
                    with m.If(self.number == 0):
                        m.next = "LOAD"
        return m

    def _make_storage(self, m: Module) -> None:
        """All tokens of a frame, the digits' counts, and what is known of the smallest gain."""
        size = self.size
        gain_bits = size.num_digits * size.digit_bits
        entry = data.StructLayout({"gain": gain_bits, "position": self.position, "is_first": 1})
        m.submodules.entries = entries = memory.Memory(shape=entry, depth=size.num_tokens, init=[])
        self.write, self.read = entries.write_port(), entries.read_port()
        m.submodules.counts = self.counts = Histogram(2**size.digit_bits, size.num_tokens)
        self.number = Signal(range(max(size.num_tokens, 2**size.digit_bits) + 1))
        self.next_number = Signal.like(self.number)
        self.step = Signal(self.position)  # in the window
        self.digit = Signal(range(size.num_digits + 1))  # digits known of the smallest gain
        self.smallest = Signal(gain_bits)
        self.budget = Signal(range(size.num_tokens + 1), init=self._budget)
        self.bitmap = Signal(size.rank.tokens)

    @property
    def _budget(self) -> int:
        return self.size.num_destinations - self.size.num_windows

    def _advance(self, m: Module) -> None:
        """Go to the next token, after the last one to the first."""
        is_window_done = self.step == self.size.rank.tokens - 1
        m.d.sync += self.step.eq(Mux(is_window_done, 0, self.step + 1))
        m.d.comb += self.next_number.eq(Mux(self._is_last, 0, self.number + 1))

    @property
    def _is_last(self) -> Value:
        return self.number == self.size.num_tokens - 1

    def _load(self, m: Module) -> None:
        m.d.comb += [
            self.i.ready.eq(1),
            self.write.addr.eq(self.number),
            self.write.data.gain.eq(self.i.p.gain),
            self.write.data.position.eq(self.i.p.position),
            self.write.data.is_first.eq(self.step == 0),
            self.write.en.eq(self.i.valid),
            self.counts.value.eq(self._digits(self.write.data.gain)[0]),
            self.counts.counts.eq(self.i.valid & (self.step != 0)),
        ]
        with m.If(self.i.valid):
            self._advance(m)
            with m.If(self._is_last):
                m.next = "SCAN"

    def _digits(self, gain: Value) -> list[Value]:
        """Return the digits of a gain, the highest first."""
        bits = self.size.digit_bits
        return [gain[n * bits : (n + 1) * bits] for n in reversed(range(self.size.num_digits))]

    def _scan(self, m: Module) -> None:
        """Take whole counts from the budget, the highest digit first, until one is too large."""
        num_digits, num_bins = self.size.num_digits, self.counts.num_bins
        is_found, was = Signal(), Signal(self.size.digit_bits)
        is_within = self.counts.amount < self.budget
        m.d.comb += [
            self.counts.address.eq(num_bins - 1 - self.number),
            self.next_number.eq(self.number + 1),
        ]
        m.d.sync += was.eq(self.counts.address)
        with m.If(self.number != 0):
            m.d.comb += self.counts.clears.eq(1)
            with m.If(~is_found & is_within):
                m.d.sync += self.budget.eq(self.budget - self.counts.amount)
            with m.Elif(~is_found):
                m.d.sync += is_found.eq(1)
                for n, digit in enumerate(self._digits(self.smallest)):
                    with m.If(self.digit == n):
                        m.d.sync += digit.eq(was)
        with m.If(self.number == num_bins):
            m.d.comb += self.next_number.eq(0)
            m.d.sync += [is_found.eq(0), self.digit.eq(self.digit + 1)]
            m.next = "COUNT"
            with m.If(self.digit == num_digits - 1):
                m.next = "MARK"

    def _count(self, m: Module) -> None:
        """Count the next digit of the gains that begin like the smallest one."""
        gain, known = self.read.data.gain, self.smallest
        pairs = list(zip(self._digits(gain), self._digits(known), strict=True))
        differs = Cat(mine != other for mine, other in pairs)
        is_known = Cat(self.digit > n for n in range(self.size.num_digits))
        m.d.comb += [
            self.counts.value.eq(Array(self._digits(gain))[self.digit]),
            self.counts.counts.eq(~self.read.data.is_first & ~(differs & is_known).any()),
        ]
        self._advance(m)
        with m.If(self._is_last):
            m.next = "SCAN"

    def _mark(self, m: Module) -> None:
        token = self.read.data
        is_equal = ~token.is_first & (token.gain == self.smallest) & self.budget.any()
        is_taken = token.is_first | (token.gain > self.smallest) | is_equal
        m.d.sync += [
            self.bitmap.eq(self.bitmap | (is_taken << token.position)),
            self.budget.eq(self.budget - is_equal),
        ]
        self._advance(m)
        with m.If(self.step == self.size.rank.tokens - 1):
            m.next = "HAND"
            with m.If(self._is_last):
                m.d.sync += [self.budget.eq(self._budget), self.digit.eq(0)]
