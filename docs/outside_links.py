"""Hooks of the site: links that leave `docs/` become paths, and every decision is in the menu."""

import posixpath
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)[^)]*\)")


def on_config(config: Any) -> Any:
    """Put the decisions, of which there are ever more, at the end of the menu."""
    folder = Path(config.docs_dir) / "decisions"
    config.nav.append({"Decisions": sorted(f"decisions/{p.name}" for p in folder.glob("*.md"))})
    return config


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
