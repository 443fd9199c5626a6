"""Hooks of the site: links that leave `docs/` become paths, and no page is without a place."""

import posixpath
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)[^)]*\)")


def on_config(config: Any) -> Any:
    """Put pages that the menu does not name at its end, and the decisions behind them."""
    folder = Path(config.docs_dir)
    pages = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.md"))
    named = set(pages_in(config.nav))
    unnamed = [page for page in pages if page not in named]
    decisions = [page for page in unnamed if page.startswith("decisions/")]
    more = [page for page in unnamed if page not in decisions]
    config.nav += [{"More": more}] * bool(more) + [{"Decisions": decisions}]
    return config


def pages_in(menu: list[Any]) -> list[str]:
    """Return every page of a menu, from top to bottom."""
    found: list[str] = []
    for entry in menu:
        inner = next(iter(entry.values())) if isinstance(entry, dict) else entry
        found += [inner] if isinstance(inner, str) else pages_in(inner)
    return found


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Show a path in the repository where the site has no page to lead to."""
    return without_outside_links(markdown, page.file.src_uri)


def without_outside_links(markdown: str, src_uri: str) -> str:
    """Replace links out of the documents' folder by their text and path."""

    def replaced(link: re.Match[str]) -> str:
        text, target = link.groups()
        if "://" in target:
            return link.group()
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(src_uri), target))
        if path.startswith("docs/"):
            return link.group()
        return f"{text} (`{path}`)" if text.strip("`") != path else f"`{path}`"

    return LINK.sub(replaced, markdown)
