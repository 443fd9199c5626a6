"""What the settings of a technique must satisfy, told in one sentence each."""

from collections.abc import Iterable


def check_settings(settings: object, rules: Iterable[tuple[str, str, bool]]) -> None:
    """Raise for the first rule that does not hold.

    Args:
        settings: What the fields belong to; the sentence quotes the field's value.
        rules: Name of a field, what it must be, and whether it is.

    Raises:
        ValueError: Names the field, the rule and the value.
    """
    for name, rule, holds in rules:
        if not holds:
            raise ValueError(f"`{name}` must be {rule}, got {getattr(settings, name)!r}")


def are_lengths(lengths: Iterable[int] | None) -> bool:
    """Return whether these are None, or at least one number and all at least 1.

    >>> are_lengths(None), are_lengths((2, 2)), are_lengths(()), are_lengths((0, 2))
    (True, True, False, False)
    """
    return lengths is None or min(lengths, default=0) >= 1
