"""Reading weights so that a bad file is one clear sentence and no file can run code."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tenuto.errors import WeightsError

_PICKLE_STARTS = (b"\x80", b"PK")  # a bare pickle; the archive that torch.save writes


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        WeightsError: The file is missing, a pickle whatever its name, or cut short.
    """
    if not path.is_file():
        raise WeightsError(f"weights file {path} is missing: install the package again")
    with path.open("rb") as file:
        if file.read(2).startswith(_PICKLE_STARTS):
            raise WeightsError(f"weights file {path} is a pickle, which is never loaded")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(
            f"weights file {path} is not a complete safetensors file ({error})"
        ) from error


def fill_weights(model: nn.Module, path: Path) -> None:
    """Copy the weights of `path` into `model`, each in the dtype the model has it in.

    Raises:
        WeightsError: The file cannot be read, or its names or shapes are not the model's.
    """
    weights = read_weights(path)
    expected = model.state_dict()
    wrong = sorted(expected.keys() ^ weights.keys())
    wrong += [
        name
        for name in expected.keys() & weights.keys()
        if expected[name].shape != weights[name].shape
    ]
    if wrong:
        raise WeightsError(
            f"weights file {path} does not fit {type(model).__name__}: "
            f"{len(wrong)} names or shapes differ, the first is {wrong[0]!r}"
        )
    model.load_state_dict(weights)
