"""Strict loading: what fits is loaded unchanged, what does not is named with its dotted path."""

import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.config import coerce, from_dict, from_toml, parse_spec, split_specs


@dataclass(frozen=True, kw_only=True, slots=True)
class Sram:
    capacity_bytes: int
    energy_pj_per_byte: float = 1.0

    def __post_init__(self) -> None:
        if self.capacity_bytes < 1:
            raise ValueError(f"`capacity_bytes` must be at least 1, got {self.capacity_bytes!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    name: str
    weight_sram: Sram
    spare_sram: Sram | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Knobs:
    ratio: float
    interval: int | None = 3
    keys: Literal["all", "held", "kept"] = "all"
    correct: bool = True
    scope: tuple[str, ...] = ("attn", "ffn")
    window: tuple[int, int, int] = (1, 2, 2)
    guide: str | None = None
    threshold: float | tuple[float, ...] = 0.5


numbers = st.floats(allow_nan=False, min_value=0, max_value=1e6)
words = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
knobs = st.builds(
    Knobs,
    ratio=numbers,
    interval=st.none() | st.integers(),
    keys=st.sampled_from(["all", "held", "kept"]),
    correct=st.booleans(),
    scope=st.lists(words, min_size=1).map(tuple),
    window=st.tuples(st.integers(), st.integers(), st.integers()),
    guide=st.none() | words.filter(lambda word: word != "none"),
    threshold=numbers | st.lists(numbers, min_size=2).map(tuple),
)


def spec_text(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(map(spec_text, value))
    return str(value).lower() if value is None or isinstance(value, bool) else format_number(value)


def format_number(value: Any) -> str:
    # A spec joins tuples with "+", so an exponent may not carry one.
    return repr(value).replace("e+", "e") if isinstance(value, float) else str(value)


@given(knobs)
def test_a_record_survives_the_way_through_its_own_mapping(record: Knobs) -> None:
    mapping = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(record).items()}

    assert from_dict(Knobs, mapping) == record


@given(knobs)
def test_a_record_survives_the_way_through_its_own_spec(record: Knobs) -> None:
    items = [f"{field.name}={spec_text(getattr(record, field.name))}" for field in fields(record)]

    name, texts = parse_spec(f"dito:{','.join(items)}")

    assert name == "dito"
    assert coerce(Knobs, texts) == record


@given(words.filter(lambda word: word not in {field.name for field in fields(Knobs)}))
def test_an_unknown_key_is_named_together_with_the_known_ones(key: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^knobs: unknown keys \['{key}'\]; known keys are .*rat"
    ):
        from_dict(Knobs, {"ratio": 0.5, key: 1}, "knobs")


def test_nested_records_load_and_absent_ones_keep_their_default() -> None:
    chip = from_dict(Chip, {"name": "a", "weight_sram": {"capacity_bytes": 8}})

    assert chip == Chip(name="a", weight_sram=Sram(capacity_bytes=8))


def test_an_int_becomes_a_float_where_a_float_is_asked_for() -> None:
    ratio = from_dict(Knobs, {"ratio": 1}).ratio

    assert type(ratio) is float
    assert ratio == 1.0


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"ratio": "0.5"}, "`ratio` must be a number, got '0.5'"),
        ({"ratio": True}, "`ratio` must be a number, got True"),
        ({"ratio": 0.5, "interval": True}, "`interval` must be an integer or none, got True"),
        ({"ratio": 0.5, "interval": 3.0}, "`interval` must be an integer or none, got 3.0"),
        ({"ratio": 0.5, "correct": 1}, "`correct` must be true or false, got 1"),
        ({"ratio": 0.5, "keys": "some"}, "`keys` must be 'all' or 'held' or 'kept', got 'some'"),
        ({"ratio": 0.5, "scope": "attn"}, "`scope` must be a tuple with each item a string"),
        ({"ratio": 0.5, "scope": ["attn", 1]}, "`scope[1]` must be a string, got 1"),
        ({"ratio": 0.5, "threshold": [0.1, "x"]}, "`threshold[1]` must be a number, got 'x'"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_the_rule(
    mapping: dict[str, object], text: str
) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(text)}"):
        from_dict(Knobs, mapping)


@pytest.mark.parametrize(
    ("sram", "text"),
    [
        ({"capacity_bytes": 8, "size": 1}, "chip.spare_sram: unknown keys ['size']; known keys"),
        ({}, "chip.spare_sram: missing keys ['capacity_bytes']; known keys are ['capacity_bytes',"),
        ({"capacity_bytes": 0}, "chip.spare_sram: `capacity_bytes` must be at least 1, got 0"),
    ],
)
def test_a_fault_inside_a_nested_record_carries_its_dotted_path(
    sram: dict[str, object], text: str
) -> None:
    mapping = {"name": "a", "weight_sram": {"capacity_bytes": 8}, "spare_sram": sram}

    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        from_dict(Chip, mapping, "chip")


def test_a_tuple_of_fixed_length_refuses_another_length() -> None:
    with pytest.raises(ValueError, match=r"`window` must be a tuple of \(an integer, .*got 2 val"):
        from_dict(Knobs, {"ratio": 0.5, "window": [2, 2]})


def test_a_toml_file_loads_and_its_errors_start_with_its_name(tmp_path: Any) -> None:
    file = tmp_path / "chip.toml"
    file.write_text('name = "a"\n[weight_sram]\ncapacity_bytes = 8\n')

    assert from_toml(Chip, file).weight_sram.capacity_bytes == 8

    file.write_text("name = 1\nweight_sram = {capacity_bytes = 8}\n")
    with pytest.raises(TypeError, match=r"^`chip\.name` must be a string, got 1"):
        from_toml(Chip, file)

    file.write_text("name = ")
    with pytest.raises(ValueError, match=r"^`chip\.toml` must be a TOML file, got "):
        from_toml(Chip, file)


@pytest.mark.parametrize(
    "text", ["", ":ratio=1", "dito:", "dito:ratio=", "dito:=1", "dito:ratio=1,", "dito:ratio=1,2"]
)
def test_a_malformed_spec_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_spec(text)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^`ratio` must be given once, got 'dito:ratio=1,ratio=2'"
    ):
        parse_spec("dito:ratio=1,ratio=2")


def test_a_value_without_a_key_goes_to_the_first_field() -> None:
    name, texts = parse_spec("knobs:0.25,keys=kept")

    assert name == "knobs"
    assert coerce(Knobs, texts) == Knobs(ratio=0.25, keys="kept")


def test_a_value_without_a_key_and_its_key_cannot_both_be_given() -> None:
    with pytest.raises(ValueError, match=r"^knobs: no field takes the value '0.25' without a key"):
        coerce(Knobs, {"": "0.25", "ratio": "0.5"}, "knobs")


@pytest.mark.parametrize(
    ("key", "text", "rule"),
    [
        ("ratio", "half", "a number"),
        ("interval", "3.5", "an integer or none"),
        ("correct", "1", "true or false"),
        ("keys", "some", "'all' or 'held' or 'kept'"),
    ],
)
def test_a_text_that_is_not_of_the_type_is_named_with_the_rule(
    key: str, text: str, rule: str
) -> None:
    with pytest.raises(ValueError, match=f"^`dito.{key}` must be {re.escape(rule)}, got '{text}'"):
        coerce(Knobs, {"ratio": "0.5", key: text}, "dito")


names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
values = st.lists(st.from_regex(r"[a-z0-9.]{1,4}", fullmatch=True), min_size=1, max_size=3)


@given(st.lists(st.tuples(names, names, values), min_size=1, max_size=4))
def test_joined_specs_come_apart_where_they_were_joined(parts) -> None:
    specs = tuple(f"{name}:{key}={'+'.join(items)}" for name, key, items in parts)

    assert split_specs("+".join(specs), ()) == specs
