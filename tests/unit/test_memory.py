import torch

from tenuto.algorithms.match_plan import MatchPlan
from tenuto.integration.memory import BranchMemory, Pairs

PLAN = MatchPlan(
    keep=torch.tensor([[0, 2]]), src=torch.tensor([[3, 1]]), dst=torch.tensor([[2, 0]])
)


def counts(pairs):
    approximated, steps = pairs.approximated()
    return approximated.tolist(), steps


def test_before_any_use_no_token_was_approximated():
    assert counts(Pairs(PLAN, None, 0, 0)) == ([[0, 0, 0, 0]], 0)


def test_each_step_approximates_the_tokens_that_it_reduces():
    pairs = Pairs(PLAN, None, 0, 0)

    for step, num_reduced in ((1, 2), (2, 2), (3, 1)):
        pairs.rows(num_reduced, step)

    assert counts(pairs) == ([[0, 2, 0, 3]], 3)


def test_several_modules_of_one_step_count_once():
    pairs = Pairs(PLAN, None, 0, 0)

    for _ in range(3):
        pairs.rows(2, 1)

    assert counts(pairs) == ([[0, 1, 0, 1]], 1)


def test_counts_go_on_from_the_pairs_before():
    first = Pairs(PLAN, None, 0, 0)
    first.rows(2, 1)
    second = Pairs(PLAN, *first.approximated(), 1)

    second.rows(1, 3)

    assert counts(second) == ([[0, 1, 0, 2]], 2)
    assert counts(first) == ([[0, 1, 0, 1]], 1)


def test_rows_of_a_count_are_made_once():
    pairs = Pairs(PLAN, None, 0, 0)

    assert pairs.rows(2, 1) is pairs.rows(2, 2)
    assert pairs.rows(1, 3).plan.src.tolist() == [[3]]


def test_between_calls_pairs_are_indices_of_four_bytes():
    pairs = Pairs(PLAN, None, 0, 0)
    at_rest = [tensor.nbytes for tensor in pairs.tensors()]
    rows = pairs.rows(2, 1)
    assert rows.slots is not None
    assert len(list(pairs.tensors())) > 3

    pairs.rest()

    assert [tensor.nbytes for tensor in pairs.tensors()] == at_rest == [8, 8, 8]
    assert pairs.rows(2, 2) is not rows
    assert counts(pairs) == ([[0, 2, 0, 2]], 2)


def test_what_several_parts_share_is_counted_once():
    memory = BranchMemory()
    tensor = torch.zeros(4, 5)

    memory.guides[(0, "attn")] = tensor
    memory.held[(0, "to_k")] = tensor[1:]
    memory.pairs[(0, "attn")] = Pairs(PLAN, None, 0, 0)

    assert memory.state_bytes == 4 * 5 * 4 + 4 * (2 + 2 + 2)
