"""The wheel: what is in it, and that it runs in an environment with nothing else."""

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        cwd=ROOT,
    )
    (file,) = folder.glob("*.whl")
    return file


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    source = ROOT / "src"
    # What git knows: the folder may hold bytecode and results of runs.
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "src", cwd=ROOT)
    wanted = {(ROOT / name).relative_to(source).as_posix() for name in listed.splitlines()}

    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}

    assert inside == {name for name in wanted if (source / name).is_file()}
    assert "tenuto/presets/emoji-video-unipc40-2x.safetensors" in inside
    assert any(name.startswith("tenuto/zoo/weights/emoji-video/transformer/") for name in inside)
    notices = {Path(name).name for name in names if "/licenses/" in name}
    assert notices == {"LICENSE", "NOTICE"}


def test_the_wheel_is_as_small_as_the_documents_say(wheel: Path) -> None:
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    (said_mb,) = re.findall(r"--wheel`\) is (\d+) MB", text)

    assert wheel.stat().st_size / 1e6 == pytest.approx(int(said_mb), rel=0.1)


def test_the_wheel_alone_runs_the_command(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "empty", with_pip=True)
    python = str(tmp_path / "empty" / "bin" / "python")
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", str(wheel), cwd=tmp_path)

    tenuto = str(tmp_path / "empty" / "bin" / "tenuto")
    assert "compare" in run(tenuto, "--help", cwd=tmp_path)
    assert run(tenuto, "--version", cwd=tmp_path).startswith("tenuto ")
    assert "tenuto compare --model emoji-video" in run(tenuto, "compare", "--help", cwd=tmp_path)
    loaded = run(python, "-c", "import sys, tenuto; print('torch' in sys.modules)", cwd=tmp_path)
    assert loaded.strip() == "False"
