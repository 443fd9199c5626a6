"""Help with examples, completion for shells, and the doctor where something is wrong."""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenuto
from tenuto.cli import _parser, main
from tenuto.doctor import examination
from tenuto.doctor.packages import Package


def commands_of(
    parser: argparse.ArgumentParser, name: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command and action with its parser."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, command in action.choices.items():
                yield from commands_of(command, (*name, word))


@pytest.mark.parametrize(("name", "parser"), list(commands_of(_parser())), ids=str)
def test_every_command_has_an_example_that_can_be_typed(
    name: tuple[str, ...], parser: argparse.ArgumentParser
) -> None:
    shown = re.search(r"^example: ([^;\n]+)", parser.epilog or "", re.MULTILINE)
    assert shown is not None
    example = shown[1]

    assert example.split()[: 1 + len(name)] == ["tenuto", *name] or "$(tenuto" in example
    words = shlex.split(example.removeprefix('eval "$(').removesuffix(')"'))
    assert _parser().parse_args(words[1:]).command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    script = capsys.readouterr().out
    for name, _ in commands_of(_parser()):
        assert not name or name[0] in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_bash_completes_a_command_an_option_and_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["completion", "bash"])
    (tmp_path / "design.toml").touch()
    (tmp_path / "tenuto.bash").write_text(capsys.readouterr().out, encoding="utf-8")
    ask = (
        "source ./tenuto.bash; "
        'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shtab_tenuto; '
        'echo "${COMPREPLY[*]}"; }; '
        "ask tenuto comp; ask tenuto compare --tec; ask tenuto sweep des; ask tenuto rtl ver"
    )

    done = subprocess.run(
        ["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert [sorted(line.split()) for line in done.stdout.splitlines()] == [
        ["compare", "completion"], ["--technique"], ["design.toml"], ["verify"],
    ]  # fmt: skip


def test_a_package_outside_its_range_is_a_problem_and_a_missing_extra_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Package(name="diffusers", needed=">=0.42", installed="0.30.0", tested="0.42.1")
    absent = Package(name="amaranth", needed="~=0.5.10", installed=None, tested="0.5.10")
    groups = {None: (), "diffusers": (old,), "rtl": (absent,)}
    monkeypatch.setattr(examination, "needed_packages", lambda extra=None: groups[extra])
    monkeypatch.setattr(examination, "extras", lambda: ("diffusers", "rtl"))

    status = main(["doctor"])

    shown = capsys.readouterr().out
    assert status == 1
    assert "problem: diffusers must be >=0.42, got 0.30.0" in shown
    assert "[rtl] incomplete: pip install 'tenuto[rtl]'" in shown
    assert shown.count("problem:") == 1


def test_the_doctor_works_where_torch_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(examination, "find_spec", lambda name: None)

    assert main(["doctor"]) == 0
    assert "torch is not installed" in capsys.readouterr().out
    assert main(["doctor", "emoji-video"]) == 1
    assert "needs torch: pip install torch" in capsys.readouterr().err


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tenuto", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout == f"tenuto {tenuto.__version__}\n"
