"""The table: every row and value, the best marked with care, strings escaped."""

import re
from collections.abc import Callable

from tenuto.report.columns import COLUMNS, MEAN_PSNR
from tenuto.report.comparison import Kind, Row
from tenuto.report.table import best_rows, table_html

Make = Callable[..., Row]
SPEED_UP = next(column for column in COLUMNS if column.title == "speed-up")
FLIP = next(column for column in COLUMNS if column.title == "FLIP")


def cells(html: str) -> list[str]:
    """The text of the data cells of the first body row after its name and kind."""
    body = html[html.index("<tbody>") :]
    row = body[: body.index("</tr>")]
    return [re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)][2:]


def test_values_are_written_with_their_units(make_row: Make) -> None:
    row = make_row(
        "DiTo",
        psnr_db=38.14,
        psnr_ci95_db=(36.0, 39.96),
        seconds_median=7.961,
        seconds_min=7.5,
        seconds_max=12.34,
        speedup=1.519,
        matching_share=0.0123,
        state_bytes_peak=6_291_456,
    )

    written = [" ".join(cell.split()) for cell in cells(table_html([row]))]

    assert written == ["38.1", "36.0 to 40.0", "7.96 7.50 to 12.3", "1.52x", "1.2 %", "6.0"]


def test_identical_is_a_word_and_missing_a_dash(make_row: Make) -> None:
    same = make_row("off", Kind.OFF, identical=True, ssim=1.0)
    other = make_row("DiTo", psnr_db=30.0, flip=0.1)

    assert cells(table_html([same, other])) == ["identical", "1.000", "-"]


def test_columns_that_no_row_fills_are_left_out(make_row: Make) -> None:
    html = table_html([make_row("DiTo", psnr_db=30.0)])

    assert "PSNR" in html
    assert "temporal" not in html


def test_the_best_is_the_highest_or_the_lowest_as_the_column_says(make_row: Make) -> None:
    rows = [make_row("a", speedup=1.5, flip=0.2), make_row("b", speedup=2.0, flip=0.3)]

    assert best_rows(rows, SPEED_UP) == [rows[1]]
    assert best_rows(rows, FLIP) == [rows[0]]


def test_equal_text_is_a_tie(make_row: Make) -> None:
    rows = [make_row("a", speedup=1.501), make_row("b", speedup=1.502), make_row("c", speedup=1.4)]

    assert best_rows(rows, SPEED_UP) == rows[:2]


def test_a_mean_whose_interval_meets_the_best_ties_with_it(make_row: Make) -> None:
    rows = [
        make_row("a", psnr_db=38.0, psnr_ci95_db=(36.0, 40.0)),
        make_row("b", psnr_db=36.0, psnr_ci95_db=(34.0, 37.0)),
        make_row("c", psnr_db=33.0, psnr_ci95_db=(32.0, 35.0)),
    ]

    assert best_rows(rows, MEAN_PSNR) == rows[:2]


def test_off_identical_and_unmeasured_rows_do_not_compete(make_row: Make) -> None:
    rows = [
        make_row("off", Kind.OFF, speedup=9.0),
        make_row("neutral", speedup=8.0, identical=True),
        make_row("paper", speedup=7.0, measured=False),
        make_row("a", speedup=1.4),
        make_row("b", speedup=1.5),
    ]

    assert best_rows(rows, SPEED_UP) == [rows[4]]


def test_a_race_of_one_has_no_winner(make_row: Make) -> None:
    assert best_rows([make_row("a", speedup=1.4)], SPEED_UP) == []


def test_a_technique_name_is_escaped(make_row: Make) -> None:
    html = table_html([make_row('<script>alert(1)</script>"', psnr_db=1.0, params={'"': "<b>"})])

    assert "<script>" not in html
    assert "<b>" not in html.partition("</table>")[0]
    assert "&lt;script&gt;" in html


def test_sort_values_are_numbers_with_identical_above_all(make_row: Make) -> None:
    html = table_html([make_row("off", identical=True), make_row("a", psnr_db=30.25)])

    assert '<td class="same" data-value="Infinity">identical</td>' in html
    assert 'data-value="30.25"' in html


def test_a_row_that_was_not_measured_is_tagged_and_shows_no_time(make_row: Make) -> None:
    rows = [make_row("paper", psnr_db=30.0, speedup=4.5, measured=False), make_row("a", speedup=2)]

    html = table_html(rows)

    assert "not measured" in html
    assert "4.5" not in html
    assert cells(html) == ["30.0", "-"]
