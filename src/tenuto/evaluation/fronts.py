"""Who is ahead at equal time: every rival's settings as a curve, read off at our speed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One of our rows against one rival at the same speed.

    Attributes:
        ours: Spec of our row.
        rival: The rival's name, the same for all its settings.
        speed: At which both are read, as a multiple of the untouched pipeline's.
        ours_db: Mean PSNR of our row.
        rival_db: Mean PSNR of the rival between its settings next to this speed; None where it is
            never that fast.
    """

    ours: str
    rival: str
    speed: float
    ours_db: float
    rival_db: float | None

    @property
    def gap_db(self) -> float | None:
        """By how much we are ahead."""
        return None if self.rival_db is None else self.ours_db - self.rival_db


def rival_of(row: Row) -> str:
    """Return the name that all settings of a method share.

    >>> rival_of({"technique": "fbc:threshold=0.1"})
    'fbc'
    """
    return row["technique"].partition(":")[0]


def gaps(rows: Sequence[Row], axis: str = "speedup") -> list[Gap]:
    """Compare each of our rows with every rival at our row's speed.

    A rival is read off the straight line between its two settings around that speed (with the
    untouched pipeline, identical at 1x, not among them), on its own Pareto front; a rival whose
    slowest setting is faster than that speed is read at that slowest one, which favours it by its
    speed and us by nothing. Nothing is extrapolated beyond its fastest setting.

    Args:
        rows: Of one comparison; rows without PSNR (identical) or speed are left out.
        axis: "speedup" (measured time) or "macs_ratio".
    """
    known = [row for row in rows if row.get("psnr_db") is not None and row.get(axis) is not None]
    ours = [row for row in known if row["kind"] == "tenuto"]
    rivals: dict[str, list[Row]] = {}
    for row in known:
        if row["kind"] in ("peer", "control"):
            rivals.setdefault(rival_of(row), []).append(row)
    return [
        Gap(
            ours=row["technique"],
            rival=name,
            speed=row[axis],
            ours_db=row["psnr_db"],
            rival_db=fidelity_at(settings, row[axis], axis),
        )
        for row in ours
        for name, settings in sorted(rivals.items())
    ]


def fidelity_at(settings: Sequence[Row], speed: float, axis: str = "speedup") -> float | None:
    """Return a method's PSNR at a speed, None where it is never that fast.

    >>> settings = [{"speedup": 1.0, "psnr_db": 50.0}, {"speedup": 2.0, "psnr_db": 30.0}]
    >>> fidelity_at(settings, 1.5), fidelity_at(settings, 2.5)
    (40.0, None)
    """
    return read_off([(row[axis], row["psnr_db"]) for row in settings], speed)


def read_off(points: Sequence[tuple[float, float]], at: float) -> float | None:
    """Return a method's second quantity where its first has a value; more of both is better.

    Straight lines between neighbours on the front; the value of the first point left of it; None
    right of the last.

    >>> read_off([(1.0, 50.0), (2.0, 30.0), (1.5, 20.0)], 1.5)
    40.0
    """
    front = pareto(points)
    for index, (x, y) in enumerate(front):
        if x < at:
            continue
        if index == 0:
            return y
        left, above = front[index - 1]
        return above + (y - above) * (at - left) / (x - left)
    return None


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other beats in both quantities, by the first, rising.

    >>> pareto([(1.0, 50.0), (2.0, 40.0), (1.5, 30.0)])
    [(1.0, 50.0), (2.0, 40.0)]
    """
    front: list[tuple[float, float]] = []
    best = float("-inf")
    for x, y in sorted(points, reverse=True):
        if y > best:
            front.append((x, y))
            best = y
    return front[::-1]
