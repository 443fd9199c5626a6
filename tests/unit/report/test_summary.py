"""The sentences say what the rows say, also where that is no triumph."""

from collections.abc import Callable

from tenuto.report.comparison import Kind, Row
from tenuto.report.summary import headline, intervals_overlap, prompts_won, speed_bands

Make = Callable[..., Row]


def test_the_headline_compares_with_fewer_steps_at_the_same_time(make_row: Make) -> None:
    rows = [
        make_row("fewer-steps:26", Kind.CONTROL, psnr_db=33.04, speedup=1.5),
        make_row("DiTo best", psnr_db=38.1, speedup=1.52),
        make_row("DiTo slow", psnr_db=45.0, speedup=1.3),
    ]

    finding = headline(rows)

    assert finding.sentence == (
        "DiTo best at 1.52x: 38.1 dB; fewer steps at the same time: 33.0 dB."
    )
    assert finding.detail == "That is 5.1 dB better than fewer steps."


def test_the_headline_says_when_fewer_steps_is_better(make_row: Make) -> None:
    rows = [
        make_row("fewer-steps:26", Kind.CONTROL, psnr_db=33.0, speedup=1.5),
        make_row("DiTo", psnr_db=30.0, speedup=1.5),
    ]

    assert headline(rows).detail == "Here fewer steps is 3.0 dB better."


def test_the_headline_counts_prompts_and_names_overlapping_intervals(make_row: Make) -> None:
    rows = [
        make_row(
            "fewer-steps:26",
            Kind.CONTROL,
            psnr_db=33.0,
            speedup=1.5,
            psnr_ci95_db=(31.0, 35.0),
            psnr_per_prompt_db=(30.0, 33.0, 36.0),
        ),
        make_row(
            "DiTo",
            psnr_db=34.0,
            speedup=1.5,
            psnr_ci95_db=(32.0, 36.0),
            psnr_per_prompt_db=(31.0, 32.0, 39.0),
        ),
    ]

    assert headline(rows).detail == (
        "That is 1.0 dB better than fewer steps (tenuto closer on 2 of 3 prompts); "
        "their 95 % intervals overlap."
    )


def test_a_control_at_another_time_is_not_called_the_same_time(make_row: Make) -> None:
    rows = [
        make_row("fewer-steps:20", Kind.CONTROL, psnr_db=28.0, speedup=2.0),
        make_row("DiTo", psnr_db=34.0, speedup=1.5),
    ]

    finding = headline(rows)

    assert finding.sentence == "DiTo at 1.50x: 34.0 dB; fewer steps at 2.00x: 28.0 dB."
    assert "no comparison at equal time" in finding.detail


def test_the_headline_says_when_there_is_no_control(make_row: Make) -> None:
    assert headline([make_row("DiTo", psnr_db=34.0, speedup=1.5)]).detail == (
        "No row with fewer steps was run to hold it against."
    )


def test_a_row_that_was_not_timed_is_told_by_its_macs(make_row: Make) -> None:
    finding = headline([make_row("DiTo", psnr_db=34.0, macs_ratio=1.9)])

    assert finding.sentence == "DiTo: 34.0 dB at 1.90x fewer MACs."
    assert finding.detail == "It was not timed."


def test_a_speed_that_was_not_measured_is_no_speed(make_row: Make) -> None:
    rows = [make_row("DiTo", psnr_db=34.0, speedup=1.5, measured=False)]

    assert headline(rows).detail == "It was not timed."
    assert speed_bands(rows) == []


def test_a_table_without_tenuto_names_the_closest_row(make_row: Make) -> None:
    rows = [
        make_row("tomesd", Kind.PEER, psnr_db=20.0, speedup=1.3),
        make_row("fbc", Kind.PEER, psnr_db=30.0, speedup=1.5),
    ]

    assert headline(rows).sentence == "fbc comes closest to the untouched run: 30.0 dB."


def test_a_table_of_identical_rows_says_so(make_row: Make) -> None:
    rows = [make_row("off", Kind.OFF, identical=True), make_row("DiTo(ratio=0)", identical=True)]

    assert headline(rows).sentence == "2 of 2 rows are bit-identical to the untouched run."


def test_a_band_holds_others_at_the_speed_of_the_tenuto_row(make_row: Make) -> None:
    near = make_row("near", Kind.PEER, psnr_db=20.0, speedup=1.45)
    far = make_row("far", Kind.PEER, psnr_db=30.0, speedup=1.40)
    ours = make_row("DiTo", psnr_db=38.0, speedup=1.55)

    (band,) = speed_bands([near, far, ours])

    assert band.speed == 1.5
    assert band.tenuto is ours
    assert band.peer is near
    assert band.control is None


def test_prompts_are_compared_pair_by_pair(make_row: Make) -> None:
    row = make_row("a", psnr_per_prompt_db=(1.0, None, 3.0))
    other = make_row("b", psnr_per_prompt_db=(0.0, 9.0, 4.0))

    assert prompts_won(row, other) == (1, 2)
    assert prompts_won(row, make_row("c", psnr_per_prompt_db=(1.0,))) is None
    assert prompts_won(row, make_row("d")) is None


def test_intervals_that_touch_overlap_and_unknown_ones_do_not(make_row: Make) -> None:
    row = make_row("a", psnr_ci95_db=(1.0, 2.0))

    assert intervals_overlap(row, make_row("b", psnr_ci95_db=(2.0, 3.0)))
    assert not intervals_overlap(row, make_row("c", psnr_ci95_db=(2.1, 3.0)))
    assert not intervals_overlap(row, make_row("d"))
