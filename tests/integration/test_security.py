"""The claims of docs/security.md that other tests do not show already."""

import json
import pickle
import shutil
import socket
from pathlib import Path

import pytest
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

from tenuto.cli import main
from tenuto.evaluation.generation import load_workload


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory) -> Path:
    """A tiny pipeline in diffusers' format, as a stranger would hand it over."""
    folder = tmp_path_factory.mktemp("stranger") / "pipeline"
    unet = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8,), norm_num_groups=4,
        layers_per_block=1, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
    )  # fmt: skip
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(folder)
    return folder


@pytest.fixture
def stranger(pipeline_folder: Path, tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    return shutil.copytree(pipeline_folder, tmp_path / "pipeline")


def test_the_stranger_is_welcome_without_a_trap(stranger):
    assert load_workload(str(stranger), num_steps=1).pipe.unet.config.sample_size == 8


@pytest.mark.parametrize("place", ["pipeline", "component"])
def test_code_in_a_model_folder_is_never_run(stranger, tmp_path, place):
    mark = tmp_path / "sprung"
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\nclass Mine: pass\n"
    index = json.loads((stranger / "model_index.json").read_text())
    if place == "pipeline":
        (stranger / "mine.py").write_text(code)
        index["_class_name"] = ["mine", "Mine"]
    else:
        (stranger / "unet" / "mine.py").write_text(code)
        index["unet"] = ["mine", "Mine"]
    (stranger / "model_index.json").write_text(json.dumps(index))

    with pytest.raises(ValueError, match="trust_remote_code"):
        load_workload(str(stranger), num_steps=1)

    assert not mark.exists()


def test_a_pickle_in_a_model_folder_is_never_opened(stranger, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    (stranger / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (stranger / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Trap()))

    with pytest.raises(OSError, match="safetensors"):
        load_workload(str(stranger), num_steps=1)

    assert not (tmp_path / "sprung").exists()


class NoNetworkError(AssertionError):
    """Raised where something reaches out."""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def reach(*address: object, **_: object) -> None:
        raise NoNetworkError(address)

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, reach)
    monkeypatch.setattr(socket, "getaddrinfo", reach)


@pytest.mark.usefixtures("no_network")
def test_commands_reach_for_no_network(tmp_path, capsys):
    common = ["--model", "emoji-image", "--steps", "4", "--threads", "1"]
    commands = [
        ["generate", "a frog over the sea", *common, "-o", str(tmp_path / "a.png")],
        ["compare", *common, "--prompts", "1", "-t", "dito", "--out", str(tmp_path / "c")],
        ["report", str(tmp_path / "c")],
        [
            "calibrate",
            *common,
            "--method",
            "pmr",
            "--prompts",
            "1",
            "--out",
            str(tmp_path / "p.safetensors"),
        ],
        ["simulate", "mld", "--accelerator", "exion4"],
    ]

    assert [main(command) for command in commands] == [0] * len(commands)
    page = (tmp_path / "c" / "report.html").read_text()
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert 'src="http' not in page and "@import" not in page
