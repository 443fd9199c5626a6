"""The documentation site: every page has a place, every link and anchor a target, code runs."""

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from tests.project.page_code import PAGES, blocks_of, run_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("outside_links", DOCS / "outside_links.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def settings() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def anchors_of(page: str) -> set[str]:
    """Anchors that the site gives to the headings of a page."""
    from markdown.extensions.toc import slugify

    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in headings]
    seen: Counter[str] = Counter()
    anchors = set()
    for slug in (slugify(heading, "-") for heading in plain):
        anchors.add(slug if not seen[slug] else f"{slug}_{seen[slug]}")
        seen[slug] += 1
    return anchors


def links_of(page: str) -> list[tuple[str, str]]:
    """Targets within the documents: (page, anchor or "")."""
    text = hook().without_outside_links(read(page), page)
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text)
    return [
        (os.path.normpath((Path(page).parent / target).as_posix()) if target else page, anchor)
        for target, anchor in found
        if "://" not in target
    ]


@pytest.mark.parametrize("page", SOURCES)
def test_every_link_and_anchor_of_a_page_has_a_target(page: str) -> None:
    for target, anchor in links_of(page):
        assert (DOCS / target).is_file(), target
        assert not anchor or anchor in anchors_of(target), f"{target}#{anchor}"


def test_the_walk_over_links_sees_anchors() -> None:
    assert ("families.md", "a-family-of-your-own") in links_of("guides/add-a-family.md")
    assert "h7-speed-of-the-simulator-measured" in anchors_of("hardware.md")
    assert "h8" not in anchors_of("hardware.md")


def test_a_link_out_of_the_documents_becomes_a_path() -> None:
    changed = hook().without_outside_links(
        "[recipe](../../recipes/zoo/README.md), [page](../orbis.md), [arXiv](https://arxiv.org)",
        "models/emoji-video.md",
    )

    assert (
        changed
        == "recipe (`recipes/zoo/README.md`), [page](../orbis.md), [arXiv](https://arxiv.org)"
    )


def test_every_page_is_in_the_menu_once_and_new_ones_at_its_end() -> None:
    named = settings()["nav"]
    first = hook().pages_in(named)[0]
    config = SimpleNamespace(docs_dir=str(DOCS), nav=named[1:])  # as if the first group were new

    menu = hook().on_config(config).nav

    assert sorted(hook().pages_in(menu)) == SOURCES
    assert first in menu[-2]["More"]
    assert "decisions/0001-record-decisions.md" in menu[-1]["Decisions"]


def test_nothing_of_a_page_comes_over_the_network() -> None:
    assert settings()["theme"]["font"] is False
    for page in SOURCES:
        assert re.findall(r"!\[[^\]]*\]\(https?:|<(?:img|script|iframe|link)\b", read(page)) == []
    for drawing in DOCS.rglob("*.svg"):
        text = drawing.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http" not in text and "<title" in text


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded models' own number of steps, made small."""
    from tenuto.zoo import pipelines

    for arguments in pipelines._CALL_ARGUMENTS.values():
        monkeypatch.setitem(arguments, "num_inference_steps", 5)


WITH_CODE = [page for page in PAGES if any(not block.is_slow for block in blocks_of(page))]
WITH_SLOW_CODE = [page for page in PAGES if any(block.is_slow for block in blocks_of(page))]


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("page", WITH_CODE)
def test_the_code_of_a_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    run_page(page, with_slow=False)


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("page", WITH_SLOW_CODE)
def test_the_slow_code_of_a_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    run_page(page, with_slow=True)


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="needs the extra docs")

    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(SOURCES)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]*)"', text)
        loaded += re.findall(r'<link\b[^>]*rel="(?:stylesheet|icon)"[^>]*href="([^"]*)"', text)
        loaded += re.findall(r'<link\b[^>]*href="([^"]*)"[^>]*rel="(?:stylesheet|icon)"', text)
        assert [url for url in loaded if "//" in url] == [], page
