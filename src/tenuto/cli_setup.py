"""`tenuto doctor` and `tenuto completion`: about the installation, not about samples."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from tenuto.cli_files import check_json

_SHELLS = ("bash", "zsh", "fish")


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `tenuto doctor`."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL",
        help="also say which techniques this model takes: emoji-video, emoji-image, or a folder "
        "with model_index.json or config.json; no weight is read",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write what was found to this file")


def doctor(chosen: argparse.Namespace) -> int:
    """Say what is installed and what a model takes; 1 where something has to be mended."""
    from tenuto.doctor.examination import examination_text, examine

    check_json(chosen.json)
    found = examine(chosen.model)
    print(examination_text(found))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found.to_dict(), indent=1), encoding="utf-8")
    return 1 if found.problems else 0


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `tenuto completion`."""
    parser.add_argument("shell", choices=_SHELLS, help="for which shell")


def completion(chosen: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Print what a shell has to load to complete the commands and options of a parser."""
    import shtab

    for action in _actions(parser):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=chosen.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All options and arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
