"""Where the labels of a scatter plot go, so that none covers a label, a mark or the frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# From the mark to the near edge of its label, ring by ring, in pixels.
_DISTANCES = (9, 15, 24, 36, 48)
# Right and left first: a label reads best on the line of its mark.
_ANGLES_DEGREES = (0, 180, 90, 270, 30, 150, 210, 330, 60, 120, 240, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """An axis-parallel rectangle, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def contains(self, other: "Box") -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.bottom <= other.bottom
            and other.top <= self.top
        )


def place_labels(
    marks: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    lines: Sequence[Box] = (),
    mark_radius: float = 6,
) -> list[Box | None]:
    """Give each mark a free place for its label, near it, the earlier marks first.

    Args:
        marks: Centre (x, y) of every mark, pixels.
        sizes: Width and height of the label of each mark, pixels; (0, 0) asks for none.
        bounds: What labels may not leave.
        lines: What labels leave free where they can, and cover where they must.
        mark_radius: Half the side of the square that a mark keeps free of labels.

    Returns:
        One box per mark; None where no label was asked for or no place is free.
    """
    taken = [_square(x, y, mark_radius) for x, y in marks]
    leaders: list[tuple[tuple[float, float], Box]] = []
    places: list[Box | None] = []
    for mark, (width, height) in zip(marks, sizes, strict=True):
        free = [
            (ring, box)
            for ring, box in (_candidates(mark, width, height) if width > 0 else [])
            if bounds.contains(box)
            and not any(box.overlaps(other) for other in taken)
            and not any(_line_meets(start, end, box) for start, end in leaders)
        ]
        place = _nearest_clear(free, lines)
        places.append(place)
        if place is not None:
            taken.append(place)
            leaders.append((mark, place))
    return places


def _nearest_clear(boxes: Sequence[tuple[int, Box]], lines: Sequence[Box]) -> Box | None:
    """Take the nearest box; one that covers a line counts as two rings further out."""
    ranked = [
        (ring + 2 * any(box.overlaps(line) for line in lines), index, box)
        for index, (ring, box) in enumerate(boxes)
    ]
    return min(ranked, key=lambda item: item[:2])[2] if ranked else None


def _candidates(mark: tuple[float, float], width: float, height: float) -> list[tuple[int, Box]]:
    """List boxes around a mark from near to far, each with the number of its ring."""
    boxes: list[tuple[int, Box]] = []
    for ring, distance in enumerate(_DISTANCES):
        for degrees in _ANGLES_DEGREES:
            cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            x = mark[0] + cosine * (distance + width / 2)
            y = mark[1] + sine * (distance + height / 2)
            box = Box(
                left=x - width / 2,
                bottom=y - height / 2,
                right=x + width / 2,
                top=y + height / 2,
            )
            boxes.append((ring, box))
    return boxes


def _line_meets(start: tuple[float, float], end: Box, box: Box) -> bool:
    """Tell whether the line from a mark to the middle of its label crosses another box."""
    middle_x, middle_y = (end.left + end.right) / 2, (end.bottom + end.top) / 2
    for step in range(1, 16):
        x = start[0] + (middle_x - start[0]) * step / 16
        y = start[1] + (middle_y - start[1]) * step / 16
        if box.overlaps(_square(x, y, 0.5)):
            return True
    return False


def _square(x: float, y: float, radius: float) -> Box:
    return Box(left=x - radius, bottom=y - radius, right=x + radius, top=y + radius)
