"""Hostile versions of a valid file: cut, spliced, with bytes flipped, or nested without end."""

from hypothesis import strategies as st

DEEP = 100_000
NESTED = (
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"a = " + b"[" * DEEP,
    b"",
    b"\x00" * 64,
    b"null",
    b"[]",
    b"\xff\xfe\xfa",
    b'{"schema": 1e999}',
    b"1" * 10_000,
)


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file after one to four accidents."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(("cut", "flip", "insert", "repeat", "drop"))):
            case "cut":
                del content[at:]
            case "flip" if at < len(content):
                content[at] = draw(st.integers(0, 255))
            case "insert":
                content[at:at] = draw(st.binary(min_size=1, max_size=8) | _TOKENS)
            case "repeat":
                content[at:at] = content[max(0, at - draw(st.integers(1, 40))) : at]
            case _:
                del content[at : at + draw(st.integers(1, 12))]
    return bytes(content)


_TOKENS = st.sampled_from(
    (
        b"-1",
        b"0",
        b"null",
        b"{}",
        b"[]",
        b'""',
        b"true",
        b"NaN",
        b"1e400",
        b"../",
        b"\n",
        b"99999999999999999999",
    )
)


@st.composite
def altered_json(draw: st.DrawFn, valid: object) -> object:
    """A JSON value with one to three of its parts replaced, dropped or renamed."""
    for _ in range(draw(st.integers(1, 3))):
        valid = _altered(draw, valid)
    return valid


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)


def _altered(draw: st.DrawFn, value: object) -> object:
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        rest = {k: v for k, v in value.items() if k != key}
        match draw(st.sampled_from(("inside", "inside", "drop", "rename"))):
            case "drop":
                return rest
            case "rename":
                return {**rest, draw(st.text(max_size=6)): value[key]}
        return {**rest, key: _altered(draw, value[key])}
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _altered(draw, value[at]), *value[at + 1 :]]
    return draw(_VALUES)
