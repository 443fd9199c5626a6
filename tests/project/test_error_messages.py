"""What errors say, read from the source as one set: one sentence with the argument, rule, value."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tenuto"
PYTHONS_OWN = ("AttributeError", "KeyError", "OSError")
"""Raised in Python's own form, or to be caught a few lines further on."""


@dataclass(frozen=True)
class Raised:
    place: str
    error: str
    message: str


def raised_in(source: str, place: str) -> Iterator[Raised]:
    """Each raise of an error with a literal text; {} stands for what is filled in."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
            continue
        error, arguments = node.exc.func, node.exc.args
        text = text_of(arguments[0]) if arguments else None
        if text is not None and isinstance(error, ast.Name):
            yield Raised(f"{place}:{node.lineno}", error.id, text)


def text_of(argument: ast.expr) -> str | None:
    """A string or f-string; None for what another function made."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    if not isinstance(argument, ast.JoinedStr):
        return None
    return "".join(
        part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "{}"
        for part in argument.values
    )


def complaint(raised: Raised) -> str | None:
    """What is wrong with a message's form, None where nothing is."""
    text = raised.message
    if raised.error in ("ValueError", "TypeError"):
        form = r"(`[^`]+`|\{\}).* must .*got ."
    elif raised.error == "MissingExtraError":
        form = r".+ needs? .+: pip install ('tenuto\[\w+\]'|torch)"
    else:
        form = "."
    # A path alone before the sentence of another error is fine.
    if text != "{}: {}" and not re.match(form, text, re.DOTALL):
        return f"must be of the form {form}"
    if text.endswith((".", "!", "\n")) or re.search(r"[.!] [A-Z]", text):
        return "must be one sentence without a full stop"
    if "\n" in text and raised.error != "ToolError":
        return "must be one line"
    return None


@cache
def all_raised() -> list[Raised]:
    return [
        raised
        for path in sorted(SOURCE.rglob("*.py"))
        for raised in raised_in(path.read_text(encoding="utf-8"), str(path.relative_to(SOURCE)))
        if raised.error not in PYTHONS_OWN
    ]


def test_every_error_is_one_sentence_of_the_house_form() -> None:
    found = [(each.place, why, each.message) for each in all_raised() if (why := complaint(each))]

    assert found == []


def test_all_errors_are_looked_at() -> None:
    assert len(all_raised()) > 150


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError('ratio is bad')",
        "raise ValueError('`ratio` must be below 1')",
        "raise TypeError(f'`mask` must be bool, got {x}. Convert it.')",
        "raise ResultError('this is wrong. Do that')",
        "raise ResultError('two\\nlines')",
        "raise MissingExtraError('install numba')",
    ],
)
def test_a_message_of_another_form_is_found(source: str) -> None:
    (raised,) = raised_in(source, "here")

    assert complaint(raised)
