"""One unit of the sparse-dense array: a dot product whose operands switch from tile to tile."""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tenuto import conmerge_timing
from tenuto.rtl.log_dot import tree_sum


class DotUnit(wiring.Component):
    """Multiply and add the input row and the weight column that the merge plan names.

    Four stages: select; multiply; add up the lanes; accumulate until `last`.

    Parameters:
        size: Operands a cycle, their width, and how many weight columns a lane of units holds.

    Members:
        moves: In, all stages take their next values.
        own, alternative: In, operands of the line's own input row and of its alternative one.
        weights: In, operands of each of the lane's columns.
        is_busy, member, is_moved: In, what the unit does.
        adds, last: In, notes of the beat in the fourth stage: it holds operands, the tile ends.
        sum: Out, with the cycle after `last`; 0 where the unit idles.

    Source: EXION (arXiv 2501.05680), units of the SDUE; the stages are ours.
    """

    def __init__(self, size: conmerge_timing.DotArray) -> None:
        self.size = size
        operands = data.ArrayLayout(signed(size.bits), size.dot_length)
        super().__init__(
            {
                "moves": In(1),
                "own": In(operands),
                "alternative": In(operands),
                "weights": In(data.ArrayLayout(operands, size.merge_limit)),
                "is_busy": In(1),
                "member": In(range(size.merge_limit)),
                "is_moved": In(1),
                "adds": In(1),
                "last": In(1),
                "sum": Out(signed(size.result_bits)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        products = []
        for lane in range(size.dot_length):
            x, w = (Signal(signed(size.bits), name=f"{name}{lane}") for name in ("x", "w"))
            product = Signal(signed(2 * size.bits), name=f"product{lane}")
            weights = Array(self.weights[place][lane] for place in range(size.merge_limit))
            input_row = Mux(self.is_moved, self.alternative[lane], self.own[lane])
            with m.If(self.moves):
                m.d.sync += [
                    x.eq(Mux(self.is_busy, input_row, 0)),
                    w.eq(weights[self.member]),
                    product.eq(x * w),
                ]
            products.append(product)
        total = Signal(signed(size.result_bits))
        running = Signal(signed(size.result_bits))
        with m.If(self.moves):
            m.d.sync += total.eq(tree_sum(products))
        with m.If(self.moves & self.adds):
            m.d.sync += [
                running.eq(Mux(self.last, 0, running + total)),
                self.sum.eq(running + total),
            ]
        return m
