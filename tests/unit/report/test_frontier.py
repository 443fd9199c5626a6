"""The upper envelope holds exactly the rows that nothing beats."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenuto.report.comparison import Kind, Row
from tenuto.report.frontier import upper_envelope

Make = Callable[..., Row]
points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=points)
def test_a_row_is_on_the_envelope_unless_another_is_as_good_in_both(
    make_row: Make, points: list[tuple[int, int]]
) -> None:
    rows = [
        make_row(str(index), psnr_db=float(db), speedup=float(gain))
        for index, (gain, db) in enumerate(points)
    ]

    envelope = upper_envelope(rows, lambda row: row.speedup)

    found = {(row.speedup, row.psnr_db) for row in envelope}
    expected = {
        point
        for point in points
        if not any(
            other != point and other[0] >= point[0] and other[1] >= point[1] for other in points
        )
    }
    assert found == expected
    assert len(envelope) == len(expected)


def test_rows_that_are_off_identical_or_without_gain_are_left_out(make_row: Make) -> None:
    rows = [
        make_row("off", Kind.OFF, psnr_db=99.0, speedup=9.0),
        make_row("neutral", identical=True, speedup=1.0),
        make_row("untimed", psnr_db=50.0),
        make_row("DiTo", psnr_db=30.0, speedup=1.5),
    ]

    assert [row.technique for row in upper_envelope(rows, lambda row: row.speedup)] == ["DiTo"]
