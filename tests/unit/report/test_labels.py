"""Placed labels never cover one another, a mark, or the frame."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tenuto.report.labels import Box, place_labels

BOUNDS = Box(left=0, bottom=0, right=500, top=400)
marks = st.lists(st.tuples(st.floats(10, 490), st.floats(10, 390)), min_size=1, max_size=25)


@settings(max_examples=40)
@given(marks=marks, width=st.floats(10, 150))
def test_labels_keep_clear_of_labels_marks_and_frame(
    marks: list[tuple[float, float]], width: float
) -> None:
    places = place_labels(marks, [(width, 12)] * len(marks), BOUNDS)

    boxes = [box for box in places if box is not None]
    assert len(places) == len(marks)
    assert all(BOUNDS.contains(box) for box in boxes)
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])
        assert not any(
            box.overlaps(Box(left=x - 6, bottom=y - 6, right=x + 6, top=y + 6)) for x, y in marks
        )


def test_a_lone_mark_has_its_label_at_its_right() -> None:
    (box,) = place_labels([(100, 100)], [(60, 10)], BOUNDS)

    assert box == Box(left=109, bottom=95, right=169, top=105)


def test_a_mark_at_the_right_edge_has_its_label_at_its_left() -> None:
    (box,) = place_labels([(495, 100)], [(60, 10)], BOUNDS)

    assert box is not None
    assert box.right == 486


def test_a_label_goes_round_a_line_where_it_can() -> None:
    line = Box(left=120, bottom=0, right=124, top=400)

    (box,) = place_labels([(100, 100)], [(60, 10)], BOUNDS, [line])

    assert box is not None
    assert not box.overlaps(line)


def test_a_label_without_room_is_left_out() -> None:
    assert place_labels([(100, 100)], [(600, 10)], BOUNDS) == [None]
    assert place_labels([(100, 100)], [(0, 0)], BOUNDS) == [None]
