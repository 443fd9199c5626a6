import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.integration.rows import PlanRows, gather_sequence, scatter_sequence

SEEDS = st.integers(0, 2**31 - 1)
BATCH, HEADS, TOKENS, KEPT, HEAD_DIM = 2, 3, 6, 4, 5


def plan_of(seed, batch=BATCH):
    generator = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(TOKENS, generator=generator) for _ in range(batch)])
    keep, src = order[:, :KEPT], order[:, KEPT:]
    dst = keep.gather(1, torch.randint(KEPT, src.shape, generator=generator))
    return MatchPlan(keep, src, dst)


@given(SEEDS)
def test_kept_rows_without_text_are_the_plans(seed):
    plan = plan_of(seed)

    rows = PlanRows(plan).kept()

    assert rows.tolist() == [*plan.keep[0].tolist(), *(plan.keep[1] + TOKENS).tolist()]


@given(SEEDS)
def test_text_rows_before_the_image_are_kept_and_shift_it(seed):
    plan = plan_of(seed)

    rows = PlanRows(plan).kept(num_text=2, text_first=True).view(BATCH, -1)

    for sample in range(BATCH):
        start = sample * (TOKENS + 2)
        assert rows[sample, :2].tolist() == [start, start + 1]
        assert (rows[sample, 2:] - start - 2).tolist() == plan.keep[sample].tolist()


@given(SEEDS)
def test_text_rows_after_the_image_are_kept_behind_it(seed):
    plan = plan_of(seed)

    rows = PlanRows(plan).kept(num_text=2, text_first=False).view(BATCH, -1)

    for sample in range(BATCH):
        start = sample * (TOKENS + 2)
        assert (rows[sample, :KEPT] - start).tolist() == plan.keep[sample].tolist()
        assert rows[sample, KEPT:].tolist() == [start + TOKENS, start + TOKENS + 1]


@given(SEEDS)
def test_slots_lead_from_each_row_to_its_own_or_its_partners_kept_row(seed):
    plan = plan_of(seed)
    tokens = torch.arange(BATCH * TOKENS)

    reached = tokens[PlanRows(plan).kept()][PlanRows(plan).slots]

    expected = tokens.view(BATCH, TOKENS).clone()
    offsets = torch.arange(BATCH)[:, None] * TOKENS
    expected.scatter_(1, plan.src, plan.dst + offsets)
    assert torch.equal(reached, expected.flatten())


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("is_row_major", [True, False])
def test_gathering_a_sequence_takes_the_rows_of_each_sample(batch, is_row_major):
    plan = plan_of(3, batch)
    shape = (batch, TOKENS, HEADS, HEAD_DIM) if is_row_major else (batch, HEADS, TOKENS, HEAD_DIM)
    tensor = torch.randn(shape)
    tensor = tensor.transpose(1, 2) if is_row_major else tensor

    picked = gather_sequence(tensor, PlanRows(plan).kept())

    for sample in range(batch):
        assert torch.equal(picked[sample], tensor[sample][:, plan.keep[sample]])


@pytest.mark.parametrize("batch", [1, 2])
def test_scattering_puts_kept_rows_back_among_zeros(batch):
    plan = plan_of(4, batch)
    tensor = torch.randn(batch, HEADS, TOKENS, HEAD_DIM)
    rows = PlanRows(plan).kept()

    full = scatter_sequence(gather_sequence(tensor, rows), rows, TOKENS)

    expected = torch.zeros_like(tensor)
    for sample in range(batch):
        expected[sample][:, plan.keep[sample]] = tensor[sample][:, plan.keep[sample]]
    assert torch.equal(full, expected)


def test_rows_are_made_once_and_on_demand():
    rows = PlanRows(plan_of(5))

    before = len(list(rows.tensors()))
    made = [rows.kept(), rows.kept(2, True), rows.slots]

    assert before == 3
    assert rows.kept() is made[0]
    assert [id(tensor) for tensor in rows.tensors()][3:] == [id(tensor) for tensor in made]
