"""Units broken on purpose: one change of text each, for the ladder and the proofs to catch."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A change of a unit's source.

    Attributes:
        fault: What it is, in words.
        unit: Key of `tenuto.rtl.cases.ALL` whose ladder must fail.
        module: Of `tenuto.rtl`, with the component.
        component: Its class.
        users: Modules that have imported the class by name.
        old: Text that occurs once.
        new: What takes its place.
    """

    fault: str
    unit: str
    module: str
    component: str
    users: Sequence[str]
    old: str
    new: str

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every user of the component get the broken one."""
        module = import_module(f"tenuto.rtl.{self.module}")
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        assert source.count(self.old) == 1, f"{self.old!r} occurs {source.count(self.old)} times"
        broken = ModuleType(module.__name__)
        exec(compile(source.replace(self.old, self.new), "mutant", "exec"), broken.__dict__)
        for user in self.users:
            monkeypatch.setattr(
                f"tenuto.rtl.{user}.{self.component}", broken.__dict__[self.component]
            )


MUTANTS = (
    Mutant(
        fault="the second one is searched in the whole number",
        unit="log-dot",
        module="leading_one",
        component="TwoStepLeadingOne",
        users=("log_dot",),
        old="rest.eq(magnitude & ~self.first)",
        new="rest.eq(magnitude)",
    ),
    Mutant(
        fault="the sum does not begin again",
        unit="log-dot",
        module="log_dot",
        component="LogDot",
        users=("cases.log_dot",),
        old="running.eq(Mux(last, 0, running + total))",
        new="running.eq(running + total)",
    ),
    Mutant(
        fault="ties go to the higher key",
        unit="row-select",
        module="row_select",
        component="RowSelect",
        users=("cases.eager",),
        old="(score > held.score)",
        new="(score >= held.score)",
    ),
    Mutant(
        fault="a lead equal to the margin is one-hot",
        unit="row-select",
        module="row_select",
        component="RowSelect",
        users=("cases.eager",),
        old="(lead > margin)",
        new="(lead >= margin)",
    ),
    Mutant(
        fault="needed keys of one block leak into the next",
        unit="row-select",
        module="row_select",
        component="RowSelect",
        users=("cases.eager",),
        old="Mux(ends_block, 0, needed)",
        new="needed",
    ),
    Mutant(
        fault="the decision comes from the row's last score but one",
        unit="eager-row",
        module="eager_row",
        component="EagerRow",
        users=("cases.eager",),
        old="self.i.p.row_last, self",
        new="self.i.p.row_last & ~self.i.p.ends_block, self",
    ),
    Mutant(
        fault="columns that need row 0 alone are dropped",
        unit="conmerge",
        module="column_sort",
        component="ColumnSort",
        users=("conmerge",),
        old="is_needed = self.i.p.bits.any()",
        new="is_needed = self.i.p.bits[1:].any()",
    ),
    Mutant(
        fault="sorting takes a cycle more",
        unit="conmerge",
        module="column_sort",
        component="ColumnSort",
        users=("conmerge",),
        old="with m.If(rank == 1):",
        new="with m.If(rank == 0):",
    ),
    Mutant(
        fault="a moved output takes a busy unit",
        unit="conmerge",
        module="lane_place",
        component="LanePlace",
        users=("tile_merge",),
        old="same, unset = free & carries, free & is_unset",
        new="same, unset = carries, free & is_unset",
    ),
    Mutant(
        fault="a try that fails leaves its alternative rows behind",
        unit="conmerge",
        module="tile_merge",
        component="TileMerge",
        users=("conmerge",),
        old="m.d.sync += self.tried.eq(self.kept)",
        new="m.d.sync += self.kept.eq(self.kept)",
    ),
    Mutant(
        fault="units ignore the alternative row",
        unit="dot-array",
        module="dot_unit",
        component="DotUnit",
        users=("dot_array",),
        old="Mux(self.is_moved, self.alternative[lane], self.own[lane])",
        new="self.own[lane]",
    ),
    Mutant(
        fault="scales of peaks above the levels are twice too large",
        unit="quantize",
        module="quantize",
        component="Quantize",
        users=("cases.quantize",),
        old="self.peak.exponent - is_above",
        new="self.peak.exponent",
    ),
    Mutant(
        fault="halves between integers are rounded up",
        unit="quantize",
        module="quantize",
        component="Quantize",
        users=("cases.quantize",),
        old="kept + (half & (rest | kept[0]))",
        new="kept + half",
    ),
    Mutant(
        fault="roots of odd powers of two are taken for larger ones",
        unit="similarity-array",
        module="reciprocal_root",
        component="ReciprocalRoot",
        users=("similarity_array",),
        old="leading >> 1",
        new="(leading + 1) >> 1",
    ),
    Mutant(
        fault="a group forgets its last column",
        unit="similarity-array",
        module="similarity_array",
        component="SimilarityArray",
        users=("cases.similarity_array",),
        old="is_group_done = ~self.is_picked[1:].any()",
        new="is_group_done = ~self.is_picked[2:].any()",
    ),
    Mutant(
        fault="equal gains go to the higher position",
        unit="window-rank",
        module="window_rank",
        component="WindowRank",
        users=("cases.window_rank", "proofs.window_rank"),
        old="(total > largest)",
        new="(total >= largest)",
    ),
    Mutant(
        fault="the gain lanes drain a cycle too long",
        unit="window-rank",
        module="window_rank",
        component="WindowRank",
        users=("cases.window_rank",),
        old="DRAIN_CYCLES - 1):",
        new="DRAIN_CYCLES):",
    ),
    Mutant(
        fault="equal gains of the frame are all taken",
        unit="budget-select",
        module="budget_select",
        component="BudgetSelect",
        users=("cases.budget_select", "proofs.budget_select"),
        old="(token.gain == self.smallest) & self.budget.any()",
        new="(token.gain == self.smallest)",
    ),
    Mutant(
        fault="later digits are counted for all gains",
        unit="budget-select",
        module="budget_select",
        component="BudgetSelect",
        users=("cases.budget_select",),
        old="~self.read.data.is_first & ~(differs & is_known).any()",
        new="~self.read.data.is_first",
    ),
    Mutant(
        fault="tokens as near to two destinations take the higher one",
        unit="window-assign",
        module="window_assign",
        component="WindowAssign",
        users=("cases.window_assign",),
        old="(likeness > match.likeness)",
        new="(likeness >= match.likeness)",
    ),
    Mutant(
        fault="two losses of one bin in a row count once",
        unit="pair-writer",
        module="histogram",
        component="Histogram",
        users=("pair_writer",),
        old="bins.read_port(transparent_for=(write,))",
        new="bins.read_port()",
    ),
    Mutant(
        fault="all tokens of the boundary bin are reduced",
        unit="pair-writer",
        module="pair_writer",
        component="PairWriter",
        users=("cases.pair_writer", "proofs.pair_writer"),
        old="(token.code == self.boundary) & self.quota.any()",
        new="(token.code == self.boundary)",
    ),
    Mutant(
        fault="two pairs of one bin in a row take one place",
        unit="pair-writer",
        module="pair_writer",
        component="PairWriter",
        users=("cases.pair_writer", "proofs.pair_writer"),
        old="made.read_port(transparent_for=(write,))",
        new="made.read_port()",
    ),
    Mutant(
        fault="destinations can be reduced",
        unit="datm",
        module="datm",
        component="Datm",
        users=("cases.datm",),
        old="is_candidate.eq(~match.p.is_destination)",
        new="is_candidate.eq(1)",
    ),
    Mutant(
        fault="partners are numbered anew in each window",
        unit="datm",
        module="datm",
        component="Datm",
        users=("cases.datm",),
        old="writer.p.partner.eq(first + match.p.nearest)",
        new="writer.p.partner.eq(match.p.nearest)",
    ),
    Mutant(
        fault="a token beside another kept one is dropped",
        unit="gather",
        module="gather",
        component="GatherAddresses",
        users=("cases.restore_path",),
        old="left.eq(left & ~lowest)",
        new="left.eq(left & ~lowest & ~(lowest << 1))",
    ),
    Mutant(
        fault="sums one past the range wrap",
        unit="restore",
        module="restore",
        component="Restore",
        users=("cases.restore_path",),
        old="Mux(value > most,",
        new="Mux(value > most + 1,",
    ),
    Mutant(
        fault="an output is replaced while it waits",
        unit="restore",
        module="restore",
        component="Restore",
        users=("cases.restore_path",),
        old="moves.eq(~self.o.valid | self.o.ready)",
        new="moves.eq(1)",
    ),
)
