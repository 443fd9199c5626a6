"""Typed reading of decoded JSON: every wrong field is one sentence with its dotted path."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tenuto.errors import ResultError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """One JSON object of a result folder and where it stands.

    A key that is absent or null is None; a key of another type is a ``ResultError``.
    """

    where: str
    values: Mapping[str, Any]

    def number(self, key: str) -> float | None:
        value = self.values.get(key)
        if value is None or _is_number(value):
            return value
        self.refuse(key, "a number or null")

    def positive(self, key: str) -> float:
        """Read a number that must be there and greater than 0."""
        value = self.number(key)
        if value is None or value <= 0:
            self.refuse(key, "a number greater than 0")
        return value

    def numbers(self, key: str) -> tuple[float | None, ...]:
        """Read a list of numbers and nulls; absent is empty."""
        value = self.values.get(key)
        if value is None:
            return ()
        if isinstance(value, list) and all(item is None or _is_number(item) for item in value):
            return tuple(value)
        self.refuse(key, "a list of numbers")

    def interval(self, key: str) -> tuple[float, float] | None:
        bounds = self.numbers(key)
        match bounds:
            case ():
                return None
            case (None, None):
                return None
            case (float() | int() as low, float() | int() as high) if low <= high:
                return (low, high)
        self.refuse(key, "[low, high] with low <= high")

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        self.refuse(key, "a text or null")

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        self.refuse(key, "true or false")

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Read an object; absent is empty."""
        value = self.values.get(key)
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.refuse(key, "an object")

    def items(self, key: str, kind: type) -> list[Any]:
        """Read a list whose items are all of one type; absent is empty."""
        value = self.values.get(key)
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(item, kind) for item in value):
            return value
        names = {dict: "objects", str: "texts"}
        self.refuse(key, f"a list of {names[kind]}")

    def refuse(self, key: str, rule: str) -> NoReturn:
        """Raise the sentence for a field that breaks its rule."""
        shown = repr(self.values.get(key))
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        raise ResultError(f"`{self.where}.{key}` must be {rule}, got {shown}")


def read_object(path: Path) -> Fields:
    """Decode a JSON file that holds one object.

    Raises:
        ResultError: The file is missing, unreadable, cut short, not JSON, holds NaN or infinity,
            or holds something other than an object.
    """
    try:
        decoded = json.loads(path.read_text("utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise ResultError(f"{path} is missing: is {path.parent} a result folder?") from None
    except (OSError, RecursionError) as error:
        raise ResultError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise ResultError(f"{path} is not whole JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise ResultError(f"{path} must hold one JSON object, got a {type(decoded).__name__}")
    return Fields(where=path.name, values=decoded)


def _is_number(value: object) -> bool:
    # json reads 1e999 as infinity without asking parse_constant.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"`numbers` must be finite, got {name}")
