"""The playground in a real browser, clicked through as its user would."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.integration.ui.chromium import BROWSER, Chromium

from tenuto import zoo
from tenuto.evaluation.generation import load_workload

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine"),
    # Of Gradio and what it is built on, not of ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NUM_TRIALS = "document.querySelectorAll('.numbers tbody tr').length"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("gradio")
    from tenuto.ui.serve import serving

    prompts = zoo.prompts("emoji-image", "seen", 3)
    with serving(load_workload("emoji-image", num_steps=4), prompts) as address:
        yield address
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # Gradio leaves the event loops of its threads open.


@pytest.fixture
def page(address: str, tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path / "profile") as browser:
        browser.open(address)
        browser.wait("document.querySelector('#try')")
        yield browser


def said(page: Chromium) -> str:
    return page.ask("document.querySelector('#said .said').innerText")


def test_two_trials_fill_the_page_and_nothing_is_loaded_from_elsewhere(page, address, tmp_path):
    page.click("#try")
    page.wait(f"{NUM_TRIALS} == 1")
    first = page.ask("document.querySelector('#clips img').naturalWidth")
    page.write("#settings textarea, #settings input", "ratio=0.5,interval=3")
    page.click("#try")
    page.wait(f"{NUM_TRIALS} == 2")
    page.wait("document.querySelector('#pareto svg')")

    assert first == 64
    assert said(page) == "Done: dito:ratio=0.5,interval=3."
    titles = "[...document.querySelectorAll('#clips figcaption')].map(f => f.innerText)"
    assert page.ask(titles)[:2] == ["untouched", "dito:ratio=0.5,interval=3"]
    assert "Scatter plot of 2 rows" in page.ask(
        "document.querySelector('#pareto svg').getAttribute('aria-label')"
    )
    assert page.ask("document.querySelectorAll('#skipped svg').length") >= 1
    assert page.failures == []
    hosts = {urlsplit(url).netloc for url in page.requested if url.startswith("http")}
    assert hosts == {urlsplit(address).netloc}
    assert urlsplit(address).hostname == "127.0.0.1"
    page.screenshot(tmp_path / "playground.png")


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("settings", "ratio=7", "dito: `ratio` must be in [0, 1], got 7.0"),
        ("settings", "speed", "`dito.ratio` must be a number, got 'speed'"),
        ("prompt", "a dragon over the sea", "dragon"),
        ("prompt", "", "`prompt` must be a caption, got ''"),
        ("steps", "0", "`steps` must be an integer from 1 to 200, got 0"),
    ],
)
def test_wrong_input_is_answered_by_a_sentence(page, field, text, sentence):
    page.write(f"#{field} textarea, #{field} input", text)
    page.click("#try")
    page.wait("document.querySelector('#said [role=alert]')")

    assert sentence in said(page)
    assert "Traceback" not in page.ask("document.body.innerText")


def test_cancelling_stops_the_run_and_the_next_one_is_exact(page):
    page.write("#steps input", "200")
    page.click("#try")
    page.wait("document.body.innerText.includes('untouched: step')")
    page.click("#cancel")
    page.wait("document.querySelector('#said').innerText.includes('Cancelled')")
    page.write("#steps input", "4")
    page.write("#settings textarea, #settings input", "ratio=0")
    page.click("#try")
    page.wait(f"{NUM_TRIALS} == 1")

    assert page.ask("document.querySelector('.numbers td:nth-child(2)').innerText") == "identical"
