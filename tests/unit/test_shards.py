"""What a rank must know of the others' tokens, without other ranks."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

import tenuto
import tenuto.baselines
from tenuto.errors import UnsupportedModelError
from tenuto.integration.accelerate import reduction_of
from tenuto.integration.composition import NO_REDUCTION
from tenuto.integration.shards import WHOLE, Shards, check_parallel, shards_of


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple), st.integers(2, 4))
def test_a_shards_grid_holds_the_first_ranks_stretch_of_the_whole_grid(grid, ranks):
    tokens = torch.arange(torch.Size(grid).numel())
    assume(len(tokens) % ranks == 0)

    shard = Shards(num_ranks=ranks).grid(grid)

    assert len(shard) == len(grid)
    assert torch.Size(shard).numel() * ranks == len(tokens)
    # Neighbours along the last axis stay neighbours unless the shards cut that axis itself.
    if shard[-1] == grid[-1]:
        whole = tokens.view(grid).reshape(-1, grid[-1])
        stretch = tokens[: len(tokens) // ranks].view(shard).reshape(-1, grid[-1])
        assert torch.equal(stretch, whole[: len(stretch)])


def test_frames_are_dealt_whole_where_they_divide_and_rows_where_they_do_not():
    two = Shards(num_ranks=2)

    assert two.grid((4, 6, 6)) == (2, 6, 6)
    assert two.grid((3, 6, 6)) == (1, 9, 6)
    assert two.grid((8, 8)) == (4, 8)
    assert two.grid(None) is None and two.grid(()) == ()
    assert WHOLE.grid((3, 5)) == (3, 5)


def test_a_grid_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"divide among 2 ranks, got \(3, 5, 5\) of 75 tokens$"):
        Shards(num_ranks=2).grid((3, 5, 5))


def test_without_parallelism_nothing_is_shared_and_nobody_is_asked():
    kept = torch.tensor([[0, 2]])

    assert shards_of(nn.Linear(1, 1)) is WHOLE
    assert WHOLE.least(7, torch.device("cpu")) == 7
    assert WHOLE.rows_of_all(kept, 3) is kept


def parallel(**changes):
    """A model under context parallelism, as far as the check looks."""
    mesh = SimpleNamespace(size=lambda: 2, get_group=lambda: None)
    config = {"ulysses_anything": False, "ring_anything": False, "ring_degree": 1, **changes}
    model = nn.Linear(1, 1)
    model._parallel_config = SimpleNamespace(
        context_parallel_config=SimpleNamespace(_flattened_mesh=mesh, **config),
        tensor_parallel_config=None,
    )
    return model


ASYMRNR = tenuto.baselines.AsymRnR().reduction()
PARTIAL = reduction_of(tenuto.DiTo(ratio=0.5), None)


@pytest.mark.parametrize(
    ("model", "reduction", "predicts", "sentence"),
    [
        (parallel(), NO_REDUCTION, True, "^EagerPrediction must run on one device: "),
        (
            parallel(),
            tenuto.baselines.AsymRnR().reduction(),
            False,
            "^AsymRnR must run on one device: ",
        ),
        (parallel(ulysses_anything=True), PARTIAL, False, "^context parallelism must give every"),
        (parallel(ring_degree=2), PARTIAL, False, "^tokens must not be reduced in attentions"),
    ],
)
def test_what_cannot_work_is_refused_by_name(model, reduction, predicts, sentence):
    with pytest.raises(UnsupportedModelError, match=sentence):
        check_parallel(model, reduction, predicts)


def test_what_works_is_let_through():
    forecast = reduction_of(tenuto.DiTo(ratio=1.0), None)
    rows_only = reduction_of(tenuto.DiTo(ratio=0.5, scope=("ffn",), guide="ffn"), None)

    check_parallel(nn.Linear(1, 1), PARTIAL, True)
    check_parallel(parallel(), PARTIAL, False)
    check_parallel(parallel(ring_degree=2), forecast, False)
    check_parallel(parallel(ring_degree=2), rows_only, False)


def test_tensor_parallel_models_are_refused():
    model = nn.Linear(1, 1)
    model._parallel_config = SimpleNamespace(
        context_parallel_config=None, tensor_parallel_config=object()
    )

    with pytest.raises(UnsupportedModelError, match=r"^Linear must not be tensor-parallel"):
        check_parallel(model, NO_REDUCTION, False)
