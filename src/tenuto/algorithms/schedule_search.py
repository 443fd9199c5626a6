"""Choose the dense steps of a budget so that the expected error of all others is least."""

from collections.abc import Callable

Cost = Callable[[int, tuple[int, ...]], float]
"""Expected error of forecasting a step from dense steps (newest first); additive over steps."""


def best_dense_steps(
    num_steps: int, num_dense: int, cost: Cost, *, taps: int, max_gap: int, warmup: int
) -> tuple[bool, ...]:
    """Return which steps are dense, `num_dense` of them at most.

    Dynamic programming over the last `taps` dense steps: exact for additive costs.

    Args:
        num_steps: Steps of the run.
        num_dense: Dense steps allowed, warm-up included.
        cost: Error of each predicted step.
        taps: Dense steps that a forecast uses.
        max_gap: Most steps from one dense step to the next, >= 1.
        warmup: First steps that are dense anyway, >= 1.

    Raises:
        ValueError: No schedule has so few dense steps.

    Source: ours.

    >>> best_dense_steps(5, 3, lambda step, known: float(step == 2), taps=1, max_gap=3, warmup=1)
    (True, False, True, False, False)
    """
    start = tuple(range(warmup - 1, max(-1, warmup - 1 - taps), -1))
    # What was remembered, and how many dense steps it took -> (error, dense steps chosen).
    frontier: dict[tuple[int, ...], dict[int, tuple[float, tuple[int, ...]]]] = {
        start: {warmup: (0.0, tuple(range(warmup)))}
    }
    best: tuple[float, tuple[int, ...]] | None = None
    for last in range(warmup - 1, num_steps):
        for known in [known for known in frontier if known[0] == last]:
            reached = frontier.pop(known)
            error = 0.0
            for ahead in range(last + 1, min(last + max_gap, num_steps) + 1):
                if ahead == num_steps:
                    best = _better(best, reached, error, num_dense)
                    break
                _extend(frontier, (ahead, *known)[:taps], reached, error, ahead, num_dense)
                if ahead < last + max_gap:
                    error += cost(ahead, known)
    if best is None:
        raise ValueError(
            f"`num_dense` must be at least what `max_gap`={max_gap} allows on {num_steps} steps, "
            f"got {num_dense!r}"
        )
    chosen = set(best[1])
    return tuple(step in chosen for step in range(num_steps))


def _extend(
    frontier: dict[tuple[int, ...], dict[int, tuple[float, tuple[int, ...]]]],
    known: tuple[int, ...],
    reached: dict[int, tuple[float, tuple[int, ...]]],
    error: float,
    dense: int,
    num_dense: int,
) -> None:
    """Make one more step dense; of two ways to the same state the cheaper one stays."""
    entries = frontier.setdefault(known, {})
    for used, (before, steps) in reached.items():
        total = before + error
        if used < num_dense and (used + 1 not in entries or total < entries[used + 1][0]):
            entries[used + 1] = (total, (*steps, dense))


def _better(
    best: tuple[float, tuple[int, ...]] | None,
    reached: dict[int, tuple[float, tuple[int, ...]]],
    error: float,
    num_dense: int,
) -> tuple[float, tuple[int, ...]] | None:
    """Return the better of the best complete schedule so far and those that end here."""
    for used, (before, steps) in reached.items():
        if used <= num_dense and (best is None or before + error < best[0]):
            best = (before + error, steps)
    return best


def least_dense_steps(num_steps: int, max_gap: int, warmup: int) -> int:
    """Return the fewest dense steps of a schedule.

    Args:
        num_steps: Steps of the run, at least `warmup`.
        max_gap: Most steps from one dense step to the next, or to the end.
        warmup: First steps that are dense anyway, >= 1.

    >>> least_dense_steps(10, 3, 3), least_dense_steps(40, 4, 3)
    (5, 12)
    """
    return warmup - 1 + -(-(num_steps - warmup + 1) // max_gap)


def num_dense_steps(num_steps: int, speed: float, predicted_cost: float = 0.0) -> int:
    """Return the most dense steps with which a run is as fast as wanted.

    Args:
        num_steps: Steps of the run.
        speed: Wanted speed-up, >= 1.
        predicted_cost: Time of a predicted step over that of a dense one, in [0, 1).

    Raises:
        ValueError: `speed` is below 1, or predicted steps alone take longer.

    >>> num_dense_steps(40, 2.0), num_dense_steps(40, 2.0, 0.05)
    (20, 18)
    """
    if speed < 1:
        raise ValueError(f"`speed` must be at least 1, got {speed!r}")
    dense = (num_steps / speed - num_steps * predicted_cost) / (1 - predicted_cost)
    if dense < 1:
        raise ValueError(
            f"`speed` must be at most {1 / predicted_cost:.1f}, as fast as predicted steps alone, "
            f"got {speed!r}"
        )
    return int(dense + 1e-9)
