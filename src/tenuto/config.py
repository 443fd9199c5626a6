"""Frozen dataclasses from mappings, TOML files and one-line specs; strictly, or not at all.

The annotations of the record are the schema. Supported: ``bool int float str None``, ``Literal``,
unions, tuples of these, and nested records. A bool is never taken for an int, an int is taken for
a float, lists become tuples. Rules about values belong in the record's ``__post_init__``.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")
# (value, type hint, dotted path) -> the value as that type
Converter = Callable[[Any, Any, str], object]


def from_dict(cls: type[Record], mapping: Mapping[str, object], path: str = "") -> Record:
    """Build a record from a mapping whose keys are its field names.

    Args:
        cls: Dataclass to build; its annotations decide what each key may hold.
        mapping: Plain values, as TOML or JSON gives them; a mapping for a nested record.
        path: Where the mapping stands in a larger file; prefixes every error.

    Raises:
        ValueError: A key is unknown or missing, or the record's own checks fail.
        TypeError: A value is not of its field's type.
    """
    return _record(cls, mapping, path, _checked)


def from_toml(cls: type[Record], file: Path | str) -> Record:
    """Build a record from a TOML file; errors as in `from_dict`, prefixed by the file's name.

    Raises:
        ValueError: Also when the file is not TOML.
    """
    file = Path(file)
    try:
        mapping = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"`{file.name}` must be a TOML file, got {error}") from None
    except RecursionError:
        raise ValueError(f"`{file.name}` must be a TOML file, got one nested too deeply") from None
    return from_dict(cls, mapping, file.stem)


def parse_spec(text: str) -> tuple[str, dict[str, str]]:
    """Split a one-line setting into its name and its still textual values.

    Args:
        text: ``name``, ``name:key=value,key=value`` or ``name:value``. A value without a key
            stands first and is returned under the key ``""``: `coerce` gives it to the first field.

    Raises:
        ValueError: A name, key or value is empty, or a key comes twice.

    >>> parse_spec("dito:ratio=0.5,scope=attn+ffn")
    ('dito', {'ratio': '0.5', 'scope': 'attn+ffn'})
    >>> parse_spec("fewer-steps:30")
    ('fewer-steps', {'': '30'})
    """
    name, colon, rest = (part.strip() for part in text.partition(":"))
    texts: dict[str, str] = {}
    for position, item in enumerate(rest.split(",") if colon else []):
        left, equals, right = (part.strip() for part in item.partition("="))
        key, value = (left, right) if equals else ("", left)
        if not value or (bool(key) != bool(equals)) or (not equals and position > 0):
            raise ValueError(f"`{text}` must be written name:key=value,key=value, got {item!r}")
        if key in texts:
            raise ValueError(f"`{key}` must be given once, got {text!r}")
        texts[key] = value
    if not name:
        raise ValueError(f"`spec` must start with a name, got {text!r}")
    return name, texts


def split_specs(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Split settings that are joined by ``+`` and leave the ``+`` inside tuples alone.

    A ``+`` joins where a name and a colon follow, or one of the known names alone.

    Args:
        text: ``name:key=value+name:key=value``.
        names: Known names.

    >>> split_specs("dito:scope=attn+ffn+ffn-reuse:sparsity=0.5", ())
    ('dito:scope=attn+ffn', 'ffn-reuse:sparsity=0.5')
    >>> split_specs("dito+ffn-reuse", ("ffn-reuse",))
    ('dito', 'ffn-reuse')
    """
    known = "|".join(re.escape(name) for name in sorted(names, reverse=True))
    alone = rf"|(?:{known})\s*(?:\+|$)" if known else ""
    return tuple(re.split(rf"\+(?=\s*(?:[a-z][\w-]*\s*:{alone}))", text))


def coerce(cls: type[Record], texts: Mapping[str, str], path: str = "") -> Record:
    """Build a record from textual values, each read as its field's type.

    Args:
        cls: Dataclass to build.
        texts: As `parse_spec` returns them. Tuples are written with ``+``, None as ``none``.
        path: Prefixes every error; usually the name in the spec.

    Raises:
        ValueError: As `from_dict`, or a text cannot be read as its field's type.
    """
    named = dict(texts)
    if "" in named:
        first = next(iter(_init_fields(cls)), "")
        if not first or first in named:
            raise ValueError(_at(path, f"no field takes the value {named['']!r} without a key"))
        named[first] = named.pop("")
    return _record(cls, named, path, _read)


def _record(
    cls: type[Record], mapping: Mapping[str, object], path: str, convert: Converter
) -> Record:
    """Check the keys, convert the values, build; the record's own errors get the path."""
    known = _init_fields(cls)
    unknown = sorted(set(mapping) - set(known))
    missing = [key for key, required in known.items() if required and key not in mapping]
    for problem, keys in (("unknown", unknown), ("missing", missing)):
        if keys:
            raise ValueError(_at(path, f"{problem} keys {keys}; known keys are {list(known)}"))
    hints = get_type_hints(cls)
    values = {
        key: convert(value, hints[key], f"{path}.{key}" if path else key)
        for key, value in mapping.items()
    }
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(_at(path, str(error))) from error


def _init_fields(cls: "type[DataclassInstance]") -> dict[str, bool]:
    """Names of the fields that the constructor takes, and whether each is required."""
    return {
        field.name: field.default is MISSING and field.default_factory is MISSING
        for field in fields(cls)
        if field.init
    }


def _checked(value: Any, hint: Any, path: str) -> object:
    """Return a plain value as `hint`, or raise TypeError with the path and the rule."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _first_member(value, hint, path, _checked)
    if origin is tuple and isinstance(value, list | tuple):
        return _each(cast("list[object]", value), hint, path, _checked)
    if _is_record(hint) and isinstance(value, Mapping):
        return from_dict(hint, cast("Mapping[str, object]", value), path)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is hint:
        return value
    if origin is Literal and any(
        type(value) is type(option) and value == option for option in get_args(hint)
    ):
        return value
    raise TypeError(f"`{path}` must be {_rule(hint)}, got {value!r}")


def _read(text: str, hint: Any, path: str) -> object:
    """Return a text as `hint`, or raise ValueError with the path and the rule."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _first_member(text, hint, path, _read)
    if origin is tuple:
        return _each(text.split("+"), hint, path, _read)
    if hint in (int, float, str):
        with suppress(ValueError):
            return hint(text)
    words: dict[Any, tuple[object, ...]] = {bool: (True, False), NoneType: (None,)}
    for option in words.get(hint, get_args(hint)):
        if text == (option if isinstance(option, str) else str(option).lower()):
            return option
    raise ValueError(f"`{path}` must be {_rule(hint)}, got {text!r}")


def _first_member(value: Any, hint: Any, path: str, convert: Converter) -> object:
    """Convert by the narrowest member of a union that takes the value."""
    rank = {NoneType: 0, bool: 0, int: 1, float: 2, str: 4}
    failures: list[TypeError | ValueError] = []
    for member in sorted(get_args(hint), key=lambda member: rank.get(member, 3)):
        try:
            return convert(value, member, path)
        except (TypeError, ValueError) as error:
            failures.append(error)
    rule = f"`{path}` must be"
    # A complaint from further down means that this member fits and something inside it does not.
    deeper = [error for error in failures if not str(error).startswith(rule)]
    raise deeper[0] if deeper else type(failures[-1])(f"{rule} {_rule(hint)}, got {value!r}")


def _each(items: Sequence[object], hint: Any, path: str, convert: Converter) -> object:
    """Convert the items of a tuple, ``tuple[X, ...]`` or of fixed length."""
    members = get_args(hint)
    if members[-1] is Ellipsis:
        members = members[:1] * len(items)
    if len(members) != len(items):
        raise ValueError(f"`{path}` must be {_rule(hint)}, got {len(items)} values")
    pairs = enumerate(zip(items, members, strict=True))
    return tuple(convert(item, member, f"{path}[{index}]") for index, (item, member) in pairs)


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint)


def _rule(hint: Any) -> str:
    """Say in words what a field may hold."""
    origin, members = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(repr(option) for option in members)
    if origin is tuple and members[-1] is Ellipsis:
        return f"a tuple with each item {_rule(members[0])}"
    if origin is tuple:
        return f"a tuple of ({', '.join(_rule(member) for member in members)})"
    if members:
        return " or ".join(_rule(member) for member in members)
    if _is_record(hint):
        return f"a table with the keys {list(_init_fields(hint))}"
    words = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}
    return words.get(hint, "none" if hint is NoneType else repr(hint))


def _at(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text
