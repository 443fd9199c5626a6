"""Counts of values, in a memory: what a sort would be too slow for."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class Histogram(wiring.Component):
    """Count how often each value comes, one a cycle, and read the counts.

    A value is counted in one cycle and written in the next; the memory passes a count that is
    just being written to a reader of the same one.

    Latency: `amount` is that of the address a cycle before.

    Parameters:
        num_bins: Values 0 to `num_bins` - 1.
        max_count: Most values before they are cleared.

    Members:
        counts, value: In, count this one.
        address: In, whose count to read; while nothing is counted.
        amount: Out.
        clears: In, set the count that `amount` shows to 0; while nothing is counted.
    """

    def __init__(self, num_bins: int, max_count: int) -> None:
        self.num_bins = num_bins
        self.max_count = max_count
        super().__init__(
            {
                "counts": In(1),
                "value": In(range(num_bins)),
                "address": In(range(num_bins)),
                "amount": Out(range(max_count + 1)),
                "clears": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.bins = bins = memory.Memory(
            shape=range(self.max_count + 1), depth=self.num_bins, init=[]
        )
        write = bins.write_port()
        read = bins.read_port(transparent_for=(write,))
        is_counted = Signal()
        m.d.sync += [is_counted.eq(self.counts), write.addr.eq(read.addr)]
        m.d.comb += [
            read.addr.eq(Mux(self.counts, self.value, self.address)),
            self.amount.eq(read.data),
            write.en.eq(is_counted | self.clears),
            write.data.eq(Mux(is_counted, read.data + 1, 0)),
        ]
        return m
