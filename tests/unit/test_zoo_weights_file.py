"""A bad weights file is one clear sentence, and nothing in it ever runs."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tenuto.errors import WeightsError
from tenuto.zoo.weights_file import fill_weights, read_weights


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.safetensors"
    save_file({"weight": torch.ones(2, 3).half(), "bias": torch.ones(2).half()}, path)
    return path


def test_half_precision_weights_fill_a_single_precision_model(good: Path) -> None:
    model = nn.Linear(3, 2)

    fill_weights(model, good)

    assert model.weight.dtype == torch.float32
    assert torch.equal(model.weight, torch.ones(2, 3))


@pytest.mark.parametrize("kept_bytes", [0, 4, 60, 140])
def test_a_file_cut_short_is_an_error(good: Path, kept_bytes: int) -> None:
    assert kept_bytes < good.stat().st_size
    good.write_bytes(good.read_bytes()[:kept_bytes])

    with pytest.raises(WeightsError, match=r"good\.safetensors is not a complete safetensors file"):
        read_weights(good)


class Bomb:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch.save"])
def test_a_pickle_renamed_to_safetensors_is_an_error_and_is_not_run(tmp_path: Path, write) -> None:
    path, mark = tmp_path / "bad.safetensors", tmp_path / "mark"
    with path.open("wb") as file:
        write(Bomb(mark), file)

    with pytest.raises(WeightsError, match=r"bad\.safetensors is a pickle, which is never loaded"):
        read_weights(path)

    assert not mark.exists()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.safetensors is missing"):
        read_weights(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    "model", [nn.Linear(3, 2, bias=False), nn.Linear(4, 2), nn.Sequential(nn.Linear(3, 2))]
)
def test_weights_of_another_model_are_an_error(good: Path, model: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    with pytest.raises(
        WeightsError, match=rf"does not fit {type(model).__name__}: \d names or sha"
    ):
        fill_weights(model, good)

    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
