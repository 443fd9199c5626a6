"""Merge: lay tiles of sorted columns over each other, with an alternative row for each line."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from tenuto import conmerge_timing
from tenuto.rtl.column_sort import sorted_layout
from tenuto.rtl.lane_place import LanePlace, lane_layout, line_layout
from tenuto.rtl.leading_one import binary_from_one_hot, highest_one


class TileMerge(wiring.Component):
    """Merge up to `merge_limit` tiles into one without dropping an output, lane by lane.

    The host is the first tile left; the others are tried from the last. A try writes the lanes of
    a second bank; if all lanes fit the banks change roles, if one does not, nothing has changed.

    Throughput: a lane a cycle, or as many cycles as outputs of the lane have to move; see
    `conmerge_timing.ConMerge.merge_cycles`.

    Parameters:
        size: Rows, lanes, most tiles in one and the most columns.

    Members:
        i: In, stream of sorted columns, as `ColumnSort` makes them.
        o: Out, stream of lanes, as `merged_layout` says: `lanes` transfers a merged tile. The
            lines' alternative rows are the same in all of them. A block without a needed output
            gives one transfer with `is_empty`.

    Source: EXION (arXiv 2501.05680), merging with conflict vectors, as `golden.conmerge` defines
    the reconstruction.
    """

    def __init__(self, size: conmerge_timing.ConMerge) -> None:
        self.size = size
        super().__init__(
            {
                "i": In(stream.Signature(sorted_layout(size.sort))),
                "o": Out(stream.Signature(merged_layout(size))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        size = self.size
        self._make_storage(m)
        self.open = Signal(size.max_tiles)  # tiles that are in no merged tile yet
        self.limit = Signal(size.max_tiles, init=-1)  # tiles that this host has not tried yet
        self.tile = Signal(range(size.max_tiles))
        self.lane = Signal(range(size.lanes + 1))
        self.next_lane = Signal.like(self.lane)
        self.member = Signal(range(size.merge_limit + 1))
        m.d.comb += self.next_lane.eq(self.lane)
        m.d.sync += self.lane.eq(self.next_lane)
        with m.FSM():
            with m.State("LOAD"):
                self._load(m)
            with m.State("HOST"):
                self._choose(m, self.open & (~self.open + 1), if_none="EMPTY")
            with m.State("OTHER"):
                self._choose(m, highest_one(self.open & self.limit), if_none="READ")
            with m.State("PLACE"):
                self._place(m)
            with m.State("READ"):
                m.d.comb += self.lane_read.addr.eq(self.bank * size.lanes)
                m.next = "EMIT"
            with m.State("EMIT"):
                self._emit(m)
            with m.State("EMPTY"):
                m.d.comb += [self.o.valid.eq(1), self.o.p.is_empty.eq(1), self.o.p.last.eq(1)]
                with m.If(self.o.ready):
                    m.next = "LOAD"
        return m

    def _make_storage(self, m: Module) -> None:
        """Columns of all tiles, the host's lanes in two banks, and its alternative rows."""
        size = self.size
        entry = data.StructLayout({"bits": size.rows, "column": range(size.max_columns)})
        m.submodules.columns = memory.Memory(
            shape=entry, depth=size.max_tiles * size.lanes, init=[]
        )
        m.submodules.lanes = memory.Memory(shape=lane_layout(size), depth=2 * size.lanes, init=[])
        self.column_write = m.submodules.columns.write_port()
        self.column_read = m.submodules.columns.read_port()
        self.lane_write = m.submodules.lanes.write_port()
        self.lane_read = m.submodules.lanes.read_port()
        self.count = Signal(range(size.max_tiles * size.lanes + 1))
        self.bank = Signal()
        self.kept = Signal(line_layout(size))
        self.tried = Signal(line_layout(size))

    def _load(self, m: Module) -> None:
        size = self.size
        is_needed = self.i.p.bits.any()
        m.d.comb += [
            self.i.ready.eq(1),
            self.column_write.addr.eq(self.count),
            self.column_write.data.bits.eq(self.i.p.bits),
            self.column_write.data.column.eq(self.i.p.column),
            self.column_write.en.eq(self.i.valid & is_needed),
        ]
        with m.If(self.i.valid):
            m.d.sync += self.count.eq(self.count + is_needed)
            begun = Signal(range(size.lanes))  # columns of the tile that is being filled
            with m.If(is_needed):
                m.d.sync += begun.eq(Mux(begun == size.lanes - 1, 0, begun + 1))
                with m.If(begun == 0):
                    m.d.sync += self.open.eq((self.open << 1) | 1)
            with m.If(self.i.p.last):
                m.d.sync += begun.eq(0)
                m.next = "HOST"

    def _choose(self, m: Module, one_hot: Value, if_none: str) -> None:
        """Begin to place the chosen tile; without one go on to another state."""
        chosen = Signal(range(self.size.max_tiles), name=f"chosen_{if_none.lower()}")
        m.d.comb += [
            chosen.eq(binary_from_one_hot(one_hot)),
            self.next_lane.eq(0),
            self.column_read.addr.eq(chosen * self.size.lanes),
            self.lane_read.addr.eq(self.bank * self.size.lanes),
        ]
        m.d.sync += [self.tile.eq(chosen), self.limit.eq(one_hot - 1)]
        with m.If(one_hot.any()):
            m.next = "PLACE"
        with m.Else():
            m.next = if_none
        if if_none == "EMPTY":
            m.d.sync += [self.member.eq(0), self.limit.eq(-1), self.kept.eq(0), self.tried.eq(0)]

    def _place(self, m: Module) -> None:
        """Work on one lane of the chosen tile."""
        size = self.size
        m.submodules.place = place = LanePlace(size)
        address = self.tile * size.lanes + self.lane
        m.d.comb += [
            place.is_running.eq(1),
            place.before.eq(Mux(self.member == 0, 0, self.lane_read.data)),
            place.needed.eq(Mux(address < self.count, self.column_read.data.bits, 0)),
            place.column.eq(self.column_read.data.column),
            place.has_column.eq(address < self.count),
            place.member.eq(self.member),
            place.lines.eq(self.tried),
            self.next_lane.eq(self.lane + place.is_done),
            self.column_read.addr.eq(self.tile * size.lanes + self.next_lane),
            self.lane_read.addr.eq(self.bank * size.lanes + self.next_lane),
            self.lane_write.addr.eq(~self.bank * size.lanes + self.lane),
            self.lane_write.data.eq(place.after),
            self.lane_write.en.eq(place.is_done),
        ]
        m.d.sync += self.tried.eq(place.lines_after)
        with m.If(place.is_stuck):
            m.d.sync += self.tried.eq(self.kept)
            m.next = "OTHER"
        with m.Elif(place.is_done & (self.lane == size.lanes - 1)):
            m.d.comb += self.next_lane.eq(0)
            m.d.sync += [
                self.kept.eq(place.lines_after),
                self.bank.eq(~self.bank),
                self.member.eq(self.member + 1),
                self.open.eq(self.open & ~(1 << self.tile)),
            ]
            m.next = "OTHER"
            with m.If(self.member == size.merge_limit - 1):
                m.next = "READ"

    def _emit(self, m: Module) -> None:
        size = self.size
        is_tile_done = self.lane == size.lanes - 1
        m.d.comb += [
            self.o.valid.eq(1),
            self.o.p.lane.eq(self.lane_read.data),
            self.o.p.lines.eq(self.kept),
            self.o.p.tile_last.eq(is_tile_done),
            self.o.p.last.eq(is_tile_done & ~self.open.any()),
        ]
        with m.If(self.o.ready):
            m.d.comb += self.next_lane.eq(self.lane + 1)
            with m.If(is_tile_done):
                m.next = "HOST"
                with m.If(~self.open.any()):
                    m.d.sync += self.count.eq(0)
                    m.next = "LOAD"
        m.d.comb += self.lane_read.addr.eq(self.bank * size.lanes + self.next_lane)


def merged_layout(size: conmerge_timing.ConMerge) -> data.StructLayout:
    """Return the payload of one lane of a merged tile."""
    return data.StructLayout(
        {
            "lane": lane_layout(size),
            "lines": line_layout(size),
            "tile_last": 1,
            "last": 1,
            "is_empty": 1,
        }
    )
