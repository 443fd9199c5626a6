"""The page in a real browser: its script runs, its films decode and move in step."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.report.test_simulation import point, simulation

from tenuto.report import write_report, write_simulation_report, write_sweep_report

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine"),
]

CATCH = """<script>
window.failures = [];
addEventListener("error", (event) => failures.push(String(event.message ?? event.type)), true);
addEventListener("securitypolicyviolation", (event) => failures.push(event.violatedDirective));
</script>"""
PROBE = """<script>
const found = {};
const column = (index) => [...document.querySelectorAll(".results tbody tr")]
  .map((row) => row.cells[index].textContent);
const sort = (title) => [...document.querySelectorAll(".results thead button")]
  .find((button) => button.textContent === title).click();
sort("PSNR");
found.falling = column(3).join("|");
sort("PSNR");
found.rising = column(3).join("|");
sort("technique");
found.names = column(1).map((name) => name.replace("envelope", "")).join("|");
const images = [...document.querySelectorAll("img")];
found.images = images.length;
const offsets = () => images.map((image) => getComputedStyle(image).transform);
const slider = document.querySelector("[data-frame]");
if (slider) {
  slider.value = 1;
  slider.dispatchEvent(new Event("input"));
  found.offsets = [...new Set(offsets())].join("|");
  found.paused = document.querySelector("[data-play]").textContent;
}
const flip = document.querySelector("[data-flip]");
const first = document.querySelector("figure:not(.untouched) img[id]");
const own = first.src;
flip.click();
found.flipped = first.src === document.querySelector(".untouched img").src;
flip.click();
found.restored = first.src === own;
const place = document.querySelector(".difference").getBoundingClientRect();
found.left = place.left + scrollX;
found.top = place.top + scrollY;
found.overflow = document.documentElement.scrollWidth - innerWidth;
Promise.all(images.map((image) => image.decode())).then(
  () => { found.decoded = images.filter((image) => image.naturalWidth > 0).length; },
  (error) => failures.push(String(error)),
).then(() => {
  found.failures = failures.join("; ");
  for (const [name, value] of Object.entries(found)) {
    document.body.setAttribute(`data-found-${name}`, String(value));
  }
});
</script>"""


def dom_of(path: Path, profile: Path, *flags: str) -> str:
    """Open a file without a window and return its document after the scripts ran."""
    return browse(path, profile, "--dump-dom", *flags)


def browse(path: Path, profile: Path, *flags: str) -> str:
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=2000",
            "--window-size=1400,6000",
            "--hide-scrollbars",
            *flags,
            path.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def probed(page: Path, probe: str = PROBE) -> Path:
    """Copy a page with a probe of its inside, which its own policy would refuse to run."""
    html = page.read_text("utf-8")
    html = re.sub(r"<meta http-equiv=[^>]*>", "", html)
    html = html.replace("<head>", f"<head>{CATCH}").replace("</body>", f"{probe}</body>")
    copy = page.with_name("probed.html")
    copy.write_text(html, "utf-8")
    return copy


def findings(dom: str) -> dict[str, str]:
    return dict(re.findall(r'data-found-([a-z]+)="([^"]*)"', dom))


@pytest.fixture(scope="module")
def found(whole_page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return findings(dom_of(probed(whole_page), tmp_path_factory.mktemp("profile")))


def test_the_page_works_in_a_browser(found: dict[str, str]) -> None:
    assert found["failures"] == ""

    # Three prompts of two films, and two copies of each pair for the difference.
    assert found["images"] == "12"
    assert found["decoded"] == "12"
    # Every film of the page stands at its second frame: 64 pixels, three times enlarged.
    assert found["offsets"] == "matrix(1, 0, 0, 1, -192, 0)"
    assert found["paused"] == "Play"
    assert found["flipped"] == "true"
    assert found["restored"] == "true"
    assert int(found["overflow"]) <= 0


def test_a_click_sorts_the_table_both_ways(found: dict[str, str]) -> None:
    falling, rising = found["falling"].split("|"), found["rising"].split("|")
    names = found["names"].split("|")

    assert falling[0] == "identical"
    assert [float(text) for text in falling[1:]] == sorted(map(float, falling[1:]), reverse=True)
    assert rising == falling[::-1]
    assert names == sorted(names, key=str.lower)


def test_the_page_plays_under_its_own_policy(whole_page: Path, tmp_path: Path) -> None:
    dom = dom_of(whole_page, tmp_path / "profile")

    assert re.search(r"data-play[^>]*>Pause<", dom)
    assert re.search(r'class="film difference"[^>]*><img', dom)


def test_a_reader_who_wants_less_motion_gets_stills(
    make_result_folder: Callable[..., Path], tmp_path: Path
) -> None:
    page = write_report(make_result_folder(num_frames=8, techniques_with_clips=(10,)))

    dom = dom_of(page, tmp_path / "profile", "--force-prefers-reduced-motion")

    assert re.search(r"data-play[^>]*>Play<", dom)
    assert "5 of 8" in dom


def test_the_shown_difference_is_exact(
    whole_page: Path, found: dict[str, str], tmp_path: Path
) -> None:
    clips = whole_page.parent / "clips"
    clip, untouched = (np.load(clips / slug / "0.npy")[1] for slug in ("row-10", "reference"))
    shot = tmp_path / "shot.png"

    browse(probed(whole_page), tmp_path / "profile", f"--screenshot={shot}")

    # The middle of each pixel, which is enlarged to 3 x 3; corners are rounded off.
    left, top = round(float(found["left"])) + 1, round(float(found["top"])) + 1
    with Image.open(shot) as image:
        shown = np.asarray(image.convert("RGB"))[top : top + 192 : 3, left : left + 192 : 3]
    difference = np.abs(clip.astype(int) - untouched)
    assert difference.max() > 0
    assert np.array_equal(shown[3:-3, 3:-3], (8 * difference).clip(0, 255)[3:-3, 3:-3])


LOOK = """<script>
const charts = [...document.querySelectorAll("svg.chart")];
const sizes = charts.map((chart) => chart.getBoundingClientRect());
const seen = {
  charts: charts.length,
  drawn: sizes.filter((box) => box.width > 200 && box.height > 60).length,
  named: charts.filter((chart) => chart.getAttribute("aria-label").length > 40).length,
  overflow: document.documentElement.scrollWidth - innerWidth,
  failures: failures.join("; "),
};
for (const [name, value] of Object.entries(seen)) {
  document.body.setAttribute(`data-found-${name}`, String(value));
}
</script>"""


def looked_at(page: Path, profile: Path, *flags: str) -> dict[str, str]:
    """Count the figures of a page that are drawn and named, in a window of a width."""
    return findings(dom_of(probed(page, LOOK), profile, *flags))


@pytest.mark.parametrize("width_px", [400, 1400])
def test_pages_of_the_hardware_show_their_figures_at_any_width(
    width_px: int, tmp_path: Path
) -> None:
    simulated, swept = tmp_path / "simulation.json", tmp_path / "design.jsonl"
    simulated.write_text(json.dumps(simulation()))
    swept.write_text(json.dumps(point(1.0, 9.0, 5.0, num_cores=8)) + "\n")
    pages = {
        6: write_simulation_report(simulated, tmp_path / "simulation.html"),
        2: write_sweep_report(swept, tmp_path / "design.html"),
    }

    for num_charts, page in pages.items():
        found = looked_at(page, tmp_path / f"p{num_charts}", f"--window-size={width_px},3000")
        assert found["failures"] == ""
        assert found["charts"] == found["drawn"] == found["named"] == str(num_charts)
        assert int(found["overflow"]) <= 0


def test_what_was_skipped_is_drawn_and_named(whole_page: Path, tmp_path: Path) -> None:
    found = looked_at(whole_page, tmp_path / "profile")

    # Three of closeness, four of what two techniques skipped, four of the untouched run.
    assert found["charts"] == found["drawn"] == found["named"] == "11"
    assert found["failures"] == ""
