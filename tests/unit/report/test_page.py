"""The page as a whole: self-contained, escaped, complete, and replaced only when whole."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tenuto.errors import ResultError
from tenuto.report import write_report

Rewrite = Callable[..., Path]
Make = Callable[..., Path]


class Outline(HTMLParser):
    """Collects ids, headings, images and unclosed tags of a page."""

    VOID = frozenset(("meta", "br", "img", "input", "link", "hr"))

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.scripts = 0
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"] or ""] if "id" in values else []
        self.images += [values] if tag == "img" else []
        self.scripts += tag == "script"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def page(folder: Path) -> str:
    return write_report(folder).read_text("utf-8")


def test_a_whole_folder_becomes_a_page_of_all_parts(whole_page: Path) -> None:
    html = whole_page.read_text("utf-8")

    outline = Outline(html)
    assert outline.open == []
    for part in ("All rows", "Clips side by side", "Closeness against gain", "What was skipped",
                 "Inside the untouched run"):  # fmt: skip
        assert part in outline.headings
    assert "DiTo best 1.5x at 1.52x: 38.1 dB; fewer steps at the same time: 33.0 dB." in html
    assert "Example CPU @ 2.50GHz" in html
    assert "tenuto compare --model emoji-video" in html


def test_ids_are_unique_and_every_image_has_an_alternative_text(whole_page: Path) -> None:
    outline = Outline(whole_page.read_text("utf-8"))

    assert len(outline.ids) == len(set(outline.ids))
    assert len(outline.images) == 6
    assert all(image["alt"] for image in outline.images)


def test_the_page_asks_for_nothing_outside_itself(whole_page: Path) -> None:
    html = whole_page.read_text("utf-8")

    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", html)
    assert not re.search(r"url\((?!#|data:)", html)
    assert "@import" not in html
    assert "default-src 'none'" in html
    assert set(re.findall(r"https?://[^\"' <]+", html)) <= {"http://www.w3.org/1999/xlink"}


def test_the_same_folder_gives_the_same_bytes(whole_page: Path, tmp_path: Path) -> None:
    again = write_report(whole_page.parent, tmp_path / "new" / "again.html")

    assert again == tmp_path / "new" / "again.html"
    assert again.read_bytes() == whole_page.read_bytes()


def test_no_string_of_the_folder_becomes_markup(rewrite: Rewrite) -> None:
    trap = "</script></style>\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
    folder = rewrite(
        model=trap,
        command=trap,
        created=trap,
        prompts=[trap, trap, trap],
        machine={trap: trap},
        versions={trap: trap},
        reference={trap: trap, "scheduler": trap},
        first_row={"technique": trap, "params": {trap: trap}, "dense_reasons": {trap: trap}},
    )
    content = json.loads((folder / "compare.json").read_text())
    content["rows"][10] |= {"technique": trap, "params": {trap: [trap]}}
    (folder / "compare.json").write_text(json.dumps(content))
    matrix = [[0.0, 1.0], [1.0, 0.0]]
    picture = {"of": trap, "block": 0, "step": 0, "rows": 2, "columns": 2, "skipped": matrix}
    skipped = {"technique": trap, "num_steps": 2, "shares": {trap: matrix}, "pictures": [picture]}
    content = {"pmr": {trap: matrix}, "similarity": {trap: matrix}, "skipped": [skipped]}
    (folder / "maps.json").write_text(json.dumps(content))

    html = page(folder)

    assert Outline(html).scripts == 1
    assert "<img src=x" not in html
    assert html.count("<script>") == 1


def test_without_clips_or_maps_their_sections_are_absent(make_result_folder: Make) -> None:
    folder = make_result_folder(techniques_with_clips=(), with_maps=False)

    headings = Outline(page(folder)).headings

    assert "Clips side by side" not in headings
    assert "Inside the untouched run" not in headings
    assert "What was skipped" not in headings
    assert "Closeness against gain" in headings


def test_the_smallest_folder_makes_a_page(rewrite: Rewrite) -> None:
    folder = rewrite(
        rows=[{"technique": "DiTo", "kind": "tenuto"}],
        machine=None,
        versions=None,
        reference=None,
        prompts=None,
        command=None,
    )
    (folder / "maps.json").unlink()

    headings = Outline(page(folder)).headings

    assert "All rows" in headings
    assert "Closeness against gain" not in headings
    assert "Machine" not in headings


def test_stills_have_no_player(make_result_folder: Make) -> None:
    html = page(make_result_folder(num_frames=1, techniques_with_clips=(10,)))

    body = html.partition("<body>")[2].partition("<script>")[0]
    assert "data-gain" in body
    assert "data-play" not in body


def test_a_reference_that_does_not_repeat_is_told_at_the_top(
    rewrite: Rewrite, whole_page: Path
) -> None:
    told = "did not give the same bits"

    assert told not in whole_page.read_text("utf-8")
    assert told in page(rewrite(reference={"repeat_identical": False}))


def test_a_full_folder_of_noise_stays_under_eight_megabytes(make_result_folder: Make) -> None:
    folder = make_result_folder(num_frames=16, techniques_with_clips=tuple(range(1, 9)))
    random = np.random.default_rng(0)
    for path in (folder / "clips").glob("*/*.npy"):
        np.save(path, random.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8))

    size_bytes = write_report(folder).stat().st_size

    assert 4_000_000 < size_bytes < 8_000_000


def test_a_failed_report_leaves_the_old_page(result_dir: Path) -> None:
    out = result_dir / "report.html"
    out.write_bytes(b"old")
    (result_dir / "maps.json").write_text("{")

    with pytest.raises(ResultError, match="not whole JSON"):
        write_report(result_dir)

    assert out.read_bytes() == b"old"
    assert not list(result_dir.glob(".*"))


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="is missing"):
        write_report(tmp_path / "nothing")


def test_the_report_loads_no_model_code_and_draws_only_when_asked() -> None:
    code = (
        "import sys, tenuto.report;"
        "print([n for n in ('torch', 'diffusers', 'matplotlib', 'PIL') if n in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
