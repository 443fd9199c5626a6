"""Units broken on purpose: one change of text each, for the ladder and the proofs to catch."""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from tenuto.rtl.budget_select import BudgetSelect
from tenuto.rtl.column_sort import ColumnSort
from tenuto.rtl.datm import Datm
from tenuto.rtl.dot_unit import DotUnit
from tenuto.rtl.eager_row import EagerRow
from tenuto.rtl.gather import GatherAddresses
from tenuto.rtl.histogram import Histogram
from tenuto.rtl.lane_place import LanePlace
from tenuto.rtl.leading_one import TwoStepLeadingOne
from tenuto.rtl.log_dot import LogDot
from tenuto.rtl.pair_writer import PairWriter
from tenuto.rtl.quantize import Quantize
from tenuto.rtl.reciprocal_root import ReciprocalRoot
from tenuto.rtl.restore import Restore
from tenuto.rtl.row_select import RowSelect
from tenuto.rtl.similarity_array import SimilarityArray
from tenuto.rtl.tile_merge import TileMerge
from tenuto.rtl.window_assign import WindowAssign
from tenuto.rtl.window_rank import WindowRank


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A change of a unit's source.

    Attributes:
        fault: What it is, in words.
        unit: Key of `tenuto.rtl.cases.ALL` whose ladder must fail.
        component: The class that is broken.
        old: Text of its file that occurs once.
        new: What takes its place.
        proof: Name of the proof that must fail too, empty where none covers the fault.
    """

    fault: str
    unit: str
    component: type
    old: str
    new: str
    proof: str = ""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every module that has imported the component get the broken one."""
        name = self.component.__name__
        module = sys.modules[self.component.__module__]
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        assert source.count(self.old) == 1, f"{self.old!r} occurs {source.count(self.old)} times"
        broken = ModuleType(module.__name__)
        exec(compile(source.replace(self.old, self.new), "mutant", "exec"), broken.__dict__)
        users = [user for place, user in sys.modules.items() if place.startswith("tenuto.rtl.")]
        for user in users:
            if user is not module and vars(user).get(name) is self.component:
                monkeypatch.setattr(user, name, broken.__dict__[name])


MUTANTS = (
    Mutant(
        fault="the second one is searched in the whole number",
        unit="log-dot",
        component=TwoStepLeadingOne,
        old="rest.eq(magnitude & ~self.first)",
        new="rest.eq(magnitude)",
        proof="leading-one-12",
    ),
    Mutant(
        fault="the sum does not begin again",
        unit="log-dot",
        component=LogDot,
        old="running.eq(Mux(last, 0, running + total))",
        new="running.eq(running + total)",
    ),
    Mutant(
        fault="ties go to the higher key",
        unit="row-select",
        component=RowSelect,
        old="(score > held.score)",
        new="(score >= held.score)",
        proof="row-select-ties",
    ),
    Mutant(
        fault="a lead equal to the margin is one-hot",
        unit="row-select",
        component=RowSelect,
        old="(lead > margin)",
        new="(lead >= margin)",
        proof="row-select-ties",
    ),
    Mutant(
        fault="needed keys of one block leak into the next",
        unit="row-select",
        component=RowSelect,
        old="Mux(ends_block, 0, needed)",
        new="needed",
    ),
    Mutant(
        fault="the decision comes from the row's last score but one",
        unit="eager-row",
        component=EagerRow,
        old="self.i.p.row_last, self",
        new="self.i.p.row_last & ~self.i.p.ends_block, self",
    ),
    Mutant(
        fault="columns that need row 0 alone are dropped",
        unit="conmerge",
        component=ColumnSort,
        old="is_needed = self.i.p.bits.any()",
        new="is_needed = self.i.p.bits[1:].any()",
        proof="conmerge-sort",
    ),
    Mutant(
        fault="sorting takes a cycle more",
        unit="conmerge",
        component=ColumnSort,
        old="with m.If(rank == 1):",
        new="with m.If(rank == 0):",
    ),
    Mutant(
        fault="a moved output takes a busy unit",
        unit="conmerge",
        component=LanePlace,
        old="same, unset = free & carries, free & is_unset",
        new="same, unset = carries, free & is_unset",
        proof="conmerge-lane",
    ),
    Mutant(
        fault="a try that fails leaves its alternative rows behind",
        unit="conmerge",
        component=TileMerge,
        old="m.d.sync += self.tried.eq(self.kept)",
        new="m.d.sync += self.kept.eq(self.kept)",
    ),
    Mutant(
        fault="units ignore the alternative row",
        unit="dot-array",
        component=DotUnit,
        old="Mux(self.is_moved, self.alternative[lane], self.own[lane])",
        new="self.own[lane]",
    ),
    Mutant(
        fault="scales of peaks above the levels are twice too large",
        unit="quantize",
        component=Quantize,
        old="self.peak.exponent - is_above",
        new="self.peak.exponent",
    ),
    Mutant(
        fault="halves between integers are rounded up",
        unit="quantize",
        component=Quantize,
        old="kept + (half & (rest | kept[0]))",
        new="kept + half",
    ),
    Mutant(
        fault="roots of odd powers of two are taken for larger ones",
        unit="similarity-array",
        component=ReciprocalRoot,
        old="leading >> 1",
        new="(leading + 1) >> 1",
    ),
    Mutant(
        fault="a group forgets its last column",
        unit="similarity-array",
        component=SimilarityArray,
        old="is_group_done = ~self.is_picked[1:].any()",
        new="is_group_done = ~self.is_picked[2:].any()",
    ),
    Mutant(
        fault="equal gains go to the higher position",
        unit="window-rank",
        component=WindowRank,
        old="(total > largest)",
        new="(total >= largest)",
        proof="window-rank-ties",
    ),
    Mutant(
        fault="the gain lanes drain a cycle too long",
        unit="window-rank",
        component=WindowRank,
        old="DRAIN_CYCLES - 1):",
        new="DRAIN_CYCLES):",
    ),
    Mutant(
        fault="equal gains of the frame are all taken",
        unit="budget-select",
        component=BudgetSelect,
        old="(token.gain == self.smallest) & self.budget.any()",
        new="(token.gain == self.smallest)",
        proof="budget-select-ties",
    ),
    Mutant(
        fault="later digits are counted for all gains",
        unit="budget-select",
        component=BudgetSelect,
        old="~self.read.data.is_first & ~(differs & is_known).any()",
        new="~self.read.data.is_first",
    ),
    Mutant(
        fault="tokens as near to two destinations take the higher one",
        unit="window-assign",
        component=WindowAssign,
        old="(likeness > match.likeness)",
        new="(likeness >= match.likeness)",
    ),
    Mutant(
        fault="two losses of one bin in a row count once",
        unit="pair-writer",
        component=Histogram,
        old="bins.read_port(transparent_for=(write,))",
        new="bins.read_port()",
    ),
    Mutant(
        fault="all tokens of the boundary bin are reduced",
        unit="pair-writer",
        component=PairWriter,
        old="(token.code == self.boundary) & self.quota.any()",
        new="(token.code == self.boundary)",
        proof="pair-writer-lists",
    ),
    Mutant(
        fault="two pairs of one bin in a row take one place",
        unit="pair-writer",
        component=PairWriter,
        old="made.read_port(transparent_for=(write,))",
        new="made.read_port()",
        proof="pair-writer-lists",
    ),
    Mutant(
        fault="destinations can be reduced",
        unit="datm",
        component=Datm,
        old="is_candidate.eq(~match.p.is_destination)",
        new="is_candidate.eq(1)",
    ),
    Mutant(
        fault="partners are numbered anew in each window",
        unit="datm",
        component=Datm,
        old="writer.p.partner.eq(first + match.p.nearest)",
        new="writer.p.partner.eq(match.p.nearest)",
    ),
    Mutant(
        fault="a token beside another kept one is dropped",
        unit="gather",
        component=GatherAddresses,
        old="left.eq(left & ~lowest)",
        new="left.eq(left & ~lowest & ~(lowest << 1))",
        proof="gather-complete",
    ),
    Mutant(
        fault="sums one past the range wrap",
        unit="restore",
        component=Restore,
        old="Mux(value > most,",
        new="Mux(value > most + 1,",
    ),
    Mutant(
        fault="an output is replaced while it waits",
        unit="restore",
        component=Restore,
        old="moves.eq(~self.o.valid | self.o.ready)",
        new="moves.eq(1)",
        proof="restore-offers",
    ),
)
