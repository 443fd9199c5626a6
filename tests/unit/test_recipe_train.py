import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from recipes.zoo import checkpoint
from recipes.zoo.models import token_ids
from recipes.zoo.muon import Muon, orthogonalise
from recipes.zoo.plan import IMAGE, TASKS, VIDEO, Lot, lot_of, lr_factor
from recipes.zoo.render import Grid
from recipes.zoo.run import Run, Settings

from tenuto.zoo.words import WORDS

TINY = Settings(num_layers=2, num_heads=2, is_tiny=True, total_tokens=4000)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models are slower on more threads, by far so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("task_key", sorted(TASKS))
def test_a_resumed_run_continues_to_the_bit(task_key: str, tmp_path: Path) -> None:
    whole, cut = Run(TASKS[task_key], TINY), Run(TASKS[task_key], TINY)
    losses = [whole.advance()["loss"] for _ in range(12)]
    for _ in range(6):
        cut.advance()

    checkpoint.save(cut, task_key, tmp_path)
    resumed, key = checkpoint.load(tmp_path)
    resumed_losses = [resumed.advance()["loss"] for _ in range(6)]

    assert key == task_key
    assert resumed_losses == losses[6:]
    assert resumed.position == whole.position
    expected = whole.tensors()
    assert expected.keys() == resumed.tensors().keys()
    for name, tensor in resumed.tensors().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("task_key", sorted(TASKS))
def test_every_weight_is_trained(task_key: str) -> None:
    run = Run(TASKS[task_key], TINY)
    before = {name: param.detach().clone() for name, param in run.params.items()}
    for _ in range(3):
        run.advance()

    still = {name for name, param in run.params.items() if torch.equal(param, before[name])}

    # the text of SD3's last block asks nothing: its queries are computed and thrown away
    last_text_queries = f"transformer_blocks.{TINY.num_layers - 1}.attn"
    assert {name for name in still if not (last_text_queries in name and "add" in name)} == set()
    assert len(still) <= 2


def test_a_longer_run_may_be_asked_for_on_resume(tmp_path: Path) -> None:
    run = Run(VIDEO, TINY)
    checkpoint.save(run, "video", tmp_path)

    assert checkpoint.load(tmp_path)[0].settings.total_tokens == TINY.total_tokens
    assert checkpoint.load(tmp_path, 9000)[0].settings.total_tokens == 9000


def test_the_log_is_cut_back_to_the_checkpoint_and_a_torn_last_line_is_dropped(
    tmp_path: Path,
) -> None:
    run = Run(VIDEO, TINY)
    run.position.step = 50
    checkpoint.save(run, "video", tmp_path)
    for step in (25, 50, 75):
        checkpoint.append_log(tmp_path, {"step": step})
    with (tmp_path / checkpoint.LOG).open("a") as log:
        log.write('{"step": 10')

    checkpoint.load(tmp_path)

    assert checkpoint.read_log(tmp_path) == [{"step": 25}, {"step": 50}]


def test_a_half_written_checkpoint_leaves_the_one_before_in_place(tmp_path: Path) -> None:
    run = Run(VIDEO, TINY)
    checkpoint.save(run, "video", tmp_path)
    (tmp_path / (checkpoint.CHECKPOINT + ".partial")).write_bytes(b"torn")

    assert checkpoint.load(tmp_path)[0].position.step == 0


def test_orthogonalised_updates_have_singular_values_near_one() -> None:
    updates = torch.randn(3, 16, 48, generator=torch.Generator().manual_seed(0))

    values = torch.linalg.svdvals(orthogonalise(updates))

    assert values.min() > 0.4 and values.max() < 1.4


def test_muon_moves_tall_and_wide_matrices_of_one_shape_alike() -> None:
    wide = torch.randn(8, 24, generator=torch.Generator().manual_seed(0))
    params = [torch.nn.Parameter(wide.clone()), torch.nn.Parameter(wide.T.clone())]
    for param in params:
        param.grad = param.detach().clone()

    Muon(params, lr=0.1).step()

    assert torch.allclose(params[0], params[1].T)
    assert not torch.allclose(params[0], wide)
    update = params[0].detach() - wide * (1 - 0.1 * 0.01)
    per_direction = update.norm() / math.sqrt(8)  # eight singular values
    assert per_direction.item() == pytest.approx(0.1 * 0.2 * math.sqrt(24), rel=0.35)


@pytest.mark.parametrize("task", [VIDEO, IMAGE])
def test_all_sizes_stay_in_the_mix_to_the_end(task) -> None:
    sizes = {lot.grid for stage in task.stages for lot in stage.lots}

    assert {lot.grid for lot in task.stages[-1].lots} == sizes
    for stage in task.stages:
        assert sum(lot.share for lot in stage.lots) == pytest.approx(1)


def test_a_lot_is_chosen_by_progress_and_share() -> None:
    first, last = VIDEO.stages[0], VIDEO.stages[-1]

    assert lot_of(VIDEO.stages, 0, 0.0) is first.lots[0]
    assert lot_of(VIDEO.stages, 0, 0.9) is first.lots[1]
    assert lot_of(VIDEO.stages, 10**9, 0.999) is last.lots[-1]


def test_the_rate_ramps_up_stays_and_falls_over_the_last_third() -> None:
    assert lr_factor(0, 0, 900) == pytest.approx(0.01)
    assert lr_factor(99, 10, 900) == 1
    assert lr_factor(1000, 600, 900) == pytest.approx(1)
    assert lr_factor(1000, 750, 900) == pytest.approx(0.5)
    assert lr_factor(1000, 900, 900) == pytest.approx(0.02)


def test_tokens_are_counted_as_patches() -> None:
    assert VIDEO.num_tokens(Lot(4, Grid(16, 64, 64), 1)) == 4 * 512
    assert IMAGE.num_tokens(Lot(2, Grid(1, 64, 64), 1)) == 2 * 256


def test_captions_become_padded_rows_and_an_empty_one_all_null() -> None:
    rows = token_ids(["a frog spins over the sky", ""], 8).tolist()

    assert [WORDS[index] for index in rows[0]][5:] == ["sky", "<pad>", "<pad>"]
    assert {WORDS[index] for index in rows[1]} == {"<null>"}
