# amaranth: UnusedElaboratable=no
"""Golden values and exact cycle counts against the units' signals."""

from typing import cast

import numpy as np
import pytest

pytest.importorskip("amaranth")

from tests.unit.rtl.mutants import MUTANTS, Mutant

from tenuto.rtl.bench import random_stalls
from tenuto.rtl.cases import ALL
from tenuto.rtl.cases.conmerge import case_from as conmerge_case
from tenuto.rtl.ladder import MismatchError, check
from tenuto.rtl.packing import unpack
from tenuto.rtl.verilated import is_available

needs_verilator = pytest.mark.skipif(not is_available(), reason="no Verilator or no g++")


@pytest.mark.parametrize("unit", ALL)
def test_a_unit_gives_golden_values_in_the_cycles_of_its_formula(unit: str) -> None:
    check(ALL[unit].small(np.random.default_rng(0)))


@pytest.mark.parametrize("unit", ALL)
def test_a_unit_gives_golden_values_under_stalls_on_both_sides(unit: str) -> None:
    check(ALL[unit].small(np.random.default_rng(1)), stalls=random_stalls(1))


@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{m.unit}: {m.fault}" for m in MUTANTS])
def test_the_ladder_catches_a_broken_unit(mutant: Mutant, monkeypatch) -> None:
    mutant.install(monkeypatch)

    with pytest.raises(MismatchError):
        for seed in range(6):
            case = ALL[mutant.unit].small(np.random.default_rng(seed))
            check(case)
            check(case, stalls=random_stalls(seed))


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
def test_conmerge_is_exact_from_no_needed_output_to_all(share: float) -> None:
    from tenuto.conmerge_timing import ConMerge

    random = np.random.default_rng(3)
    size = ConMerge(rows=3, lanes=2, merge_limit=2, max_columns=8)
    blocks = [random.random((3, 8)) < share for _ in range(6)]

    check(conmerge_case(size, blocks))


@pytest.mark.slow
@needs_verilator
@pytest.mark.parametrize("unit", ALL)
def test_compiled_and_interpreted_units_transfer_in_the_same_cycles(unit: str) -> None:
    case = ALL[unit].small(np.random.default_rng(0))
    stalls = random_stalls(5)
    interpreted, compiled = (check(case, s, stalls) for s in ("amaranth", "verilator"))

    np.testing.assert_array_equal(compiled.input_cycles, interpreted.input_cycles)
    np.testing.assert_array_equal(compiled.output_cycles, interpreted.output_cycles)


@pytest.mark.slow
@needs_verilator
@pytest.mark.parametrize("unit", ALL)
def test_a_million_vectors_agree_with_golden(unit: str) -> None:
    case = ALL[unit].large(np.random.default_rng(0))

    check(case, "verilator")
    check(case, "verilator", random_stalls(0))
    assert case.vectors >= 1_000_000


@pytest.mark.slow
@needs_verilator
def test_conmerge_makes_each_needed_output_once_for_every_mask_of_three_by_four() -> None:
    """All 4,096 blocks in one run; what counts is read from the outputs, not from golden."""
    from tenuto.conmerge_timing import ConMerge

    size = ConMerge(rows=3, lanes=2, merge_limit=2, max_columns=4)
    bits = np.arange(12).reshape(3, 4)
    blocks = [(number >> bits) & 1 == 1 for number in range(4096)]

    run = check(conmerge_case(size, blocks), "verilator", random_stalls(9))

    fields = unpack(run.outputs, [(3, 3, False), (2, 3, False), (3, 3, False), (3, 1, False)])
    ends = np.flatnonzero(fields[3][:, 1]) + 1
    for block, transfers in zip(blocks, np.split(np.arange(ends[-1]), ends[:-1]), strict=True):
        made = outputs_made(*(field[transfers] for field in fields[:3]))
        assert sorted(made) == sorted(map(tuple, np.argwhere(block).tolist()))


def outputs_made(units, columns, lines) -> list[tuple[int, int]]:
    """Return the (row, column) of every busy unit of lanes; no unit can hold two."""
    made = []
    for lane, unit in np.argwhere(units & 1):
        member, is_moved = (units[lane, unit] >> 1) & 1, units[lane, unit] >> 2
        row = lines[lane, unit] >> 1 if is_moved else unit
        made.append((int(row), int(columns[lane, member] >> 1)))
    return made


@pytest.mark.slow
@needs_verilator
def test_every_pair_of_eight_bit_operands_is_multiplied_as_golden_does() -> None:
    from tenuto.hardware_timing import LogDot
    from tenuto.rtl.cases.log_dot import case_from

    every = np.arange(-128, 128)
    left, right = (side.reshape(-1, 1) for side in np.meshgrid(every, every))
    size = LogDot(lanes=1, bits=8, max_length=1)

    check(case_from(size, cast(np.ndarray, left), cast(np.ndarray, right)), "verilator")
