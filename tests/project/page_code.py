"""The code of the site's pages, run as a reader would run it, with fewer steps and captions."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tenuto.cli import main

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("index.md", "start.md", *(f"guides/{p.name}" for p in sorted((DOCS / "guides").glob("*"))),
         *(f"systems/{p.name}" for p in sorted((DOCS / "systems").glob("*.md"))))  # fmt: skip

NOT_RUN = ("make ", "pip ")
"""Commands that set up a machine."""

_FENCE = re.compile(
    r"^(?:<!-- slow(?P<whole>: as it stands)?(?P<slow>) -->\n)?"
    r'^```(?P<language>\w+)(?: title="(?P<title>[\w.]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
_FEWER = (
    (r"--steps \d+", "--steps 5"),
    (r"--prompts \d+", "--prompts 1"),
    (r"fewer-steps:\d+", "fewer-steps:2"),
    (r"^(tenuto calibrate .*)--steps \d+ (.*)--prompts \d+", r"\1--steps 8 \2--prompts 3"),
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: As after the fence; "text" is what the block before it prints, in part.
        text: What is inside.
        title: Name of the file that it shows, "" for none.
        is_slow: Marked by `<!-- slow -->` in the line before.
        is_whole: Marked `<!-- slow: as it stands -->`: nothing is made smaller.
    """

    language: str
    text: str
    title: str
    is_slow: bool
    is_whole: bool


def blocks_of(page: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    return [
        Block(
            language=found["language"],
            text=found["text"],
            title=found["title"] or "",
            is_slow=found["slow"] is not None,
            is_whole=found["whole"] is not None,
        )
        for found in _FENCE.finditer((DOCS / page).read_text(encoding="utf-8"))
    ]


def run_page(page: str, *, with_slow: bool) -> None:
    """Run a page's blocks in order, in the present folder, with the names of those before.

    Raises:
        AssertionError: A command fails, or a block does not print what the page shows.
    """
    names: dict[str, object] = {"__name__": "page"}
    printed = ""
    for block in blocks_of(page):
        if block.language == "text":
            missing = [line for line in block.text.splitlines() if line not in printed]
            assert missing == [], f"{page} shows what was not printed"
        elif block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif with_slow or not block.is_slow:
            with contextlib.redirect_stdout(io.StringIO()) as output:
                _run(block, names)
            printed = output.getvalue()


def _run(block: Block, names: dict[str, object]) -> None:
    if block.language == "python":
        exec(compile(block.text, "<page>", "exec"), names)
    else:
        assert block.language == "bash"
        for command in commands_of(block):
            assert main(command) == 0, command


def commands_of(block: Block) -> Iterator[list[str]]:
    """Yield the arguments of each `tenuto` command, made smaller."""
    for line in block.text.splitlines():
        if line.startswith(NOT_RUN):
            continue
        assert line.startswith("tenuto "), line
        for pattern, fewer in () if block.is_whole else _FEWER:
            line = re.sub(pattern, fewer, line)  # noqa: PLW2901
        yield shlex.split(line, comments=True)[1:]
