"""Choose blocks for every budget at once: a knapsack by dynamic programming."""

from collections.abc import Sequence

_GRID = 256
"""Savings are compared in this many parts of their sum, so that no front grows longer."""


def best_subsets(savings: Sequence[float], errors: Sequence[float]) -> list[tuple[int, ...]]:
    """Return the sets of items that no other beats in both saving and error.

    Items are added one by one; of the sets so far, only those stay that save more than every set
    of smaller error. Exact for additive savings and errors, up to savings rounded to 1/256 of
    their sum.

    Args:
        savings: Of each item, at least 0.
        errors: Of each item, at least 0.

    Returns:
        Item numbers in rising order, sets in order of rising saving; the first is empty.

    Raises:
        ValueError: There are more savings than errors or fewer, or one is negative.

    Source: Nemhauser and Ullmann, "Discrete Dynamic Programming and Capital Allocation",
    Management Science 15(9), 1969.

    >>> best_subsets([1.0, 1.0, 2.0], [3.0, 1.0, 1.5])
    [(), (1,), (2,), (1, 2), (0, 1, 2)]
    """
    if len(savings) != len(errors) or min((*savings, *errors), default=0) < 0:
        raise ValueError(
            "`savings` and `errors` must be numbers of at least 0, one each an item, got "
            f"{list(savings)} and {list(errors)}"
        )
    unit = sum(savings) / _GRID or 1.0
    front: list[tuple[int, float, tuple[int, ...]]] = [(0, 0.0, ())]
    for item, (saving, error) in enumerate(zip(savings, errors, strict=True)):
        units = round(saving / unit)
        front = _undominated(front, [(u + units, e + error, (*s, item)) for u, e, s in front])
    return [items for _, _, items in front]


def _undominated(
    without: list[tuple[int, float, tuple[int, ...]]],
    with_item: list[tuple[int, float, tuple[int, ...]]],
) -> list[tuple[int, float, tuple[int, ...]]]:
    """Merge two fronts; of sets that save the same with the same error the first stays."""
    kept = []
    least = float("inf")
    for entry in sorted([*without, *with_item], key=lambda entry: (-entry[0], entry[1])):
        if entry[1] < least:
            kept.append(entry)
            least = entry[1]
    return kept[::-1]
