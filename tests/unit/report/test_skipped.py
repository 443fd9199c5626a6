"""What a run left out, as figures with words."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tenuto.report.maps import Picture, Skipped, read_maps
from tenuto.report.skipped import MAX_TECHNIQUES, skipped_html

HALF, NOTHING = np.array([[0.0, 1.0]]), np.zeros((1, 2))


def run(technique: str = "dito", **shares: np.ndarray) -> Skipped:
    return Skipped(technique=technique, num_steps=2, shares=shares, pictures=())


def test_every_technique_has_its_name_its_shares_and_its_masks(
    make_result_folder: Callable[..., Path],
) -> None:
    folder = make_result_folder(num_frames=2, techniques_with_clips=())

    html = skipped_html(read_maps(folder / "maps.json").skipped)

    assert re.findall("<h3>(.*?)</h3>", html) == ["DiTo best 1.5x", "ORBIS ratio=0.5"]
    assert html.count("<svg") == 4
    assert html.count('role="img" aria-label="Heat maps of share skipped') == 4
    assert "Tokens not computed in block 4, token grid (512 x 768, drawn as 32 x 48 parts)" in html
    assert "Hidden values reused in block 4, feed-forward" in html
    assert "50.0 % at step 4, 50.0 % at step 17, 50.0 % at step 31" in html


def test_parts_that_were_done_in_full_are_named_and_not_drawn() -> None:
    html = skipped_html([run(scores=HALF, projections=NOTHING)])

    assert "mean: attention: scores 50.0 %. Done in full: attention: linear layers." in html
    assert ">attention: scores</text>" in html
    assert ">attention: linear layers</text>" not in html


def test_parts_that_were_skipped_alike_share_one_map() -> None:
    html = skipped_html([run(scores=HALF, block=HALF)])

    assert ">every part of the block alike</text>" in html
    assert html.count("<image") == 2  # the map and its colour key


def test_a_run_that_skipped_nothing_says_so_without_a_figure() -> None:
    html = skipped_html([run(scores=NOTHING)])

    assert "Done in full: attention: scores." in html
    assert "<svg" not in html


def test_a_mask_is_drawn_on_the_scale_of_the_model() -> None:
    picture = Picture(
        what="scores", block=1, step=2, num_rows=512, num_columns=900, skipped=np.eye(4)
    )
    html = skipped_html([Skipped(technique="a", num_steps=3, shares={}, pictures=(picture,))])

    ticks = [int(text) for text in re.findall(r">(\d+)</text>", html)]
    assert max(ticks) > 500


def test_techniques_beyond_the_bound_are_counted() -> None:
    runs = [run(f"t{number}", scores=HALF) for number in range(MAX_TECHNIQUES + 1)]

    html = skipped_html(runs)

    assert html.count("<article>") == MAX_TECHNIQUES
    assert "The first 12 of 13 are shown." in html


def test_without_runs_there_is_nothing() -> None:
    assert skipped_html([]) == ""
