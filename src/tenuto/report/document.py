"""The frame of every page: one HTML file that asks for nothing outside itself."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path


def document_html(title: str, header: str, sections: Mapping[str, str], footer: str) -> str:
    """Write a whole page.

    Args:
        title: Of the window; plain text.
        header: HTML above the sections.
        sections: Heading -> HTML; empty ones are left out.
        footer: Plain text.
    """
    body = "".join(
        f"<section><h2>{heading}</h2>{content}</section>"
        for heading, content in sections.items()
        if content
    )
    assets = files("tenuto.report") / "assets"
    style = (assets / "report.css").read_text("utf-8")
    script = (assets / "report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Whatever a caption or a label may hold, only this script runs and nothing is fetched.
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n"
        f"<body><header>{header}</header>\n<main>{body}</main>\n"
        f"<footer>{escape(footer)}</footer>"
        f"<script>{script}</script></body></html>\n"
    )


def charts_html(figures: list[tuple[str | None, str]], layout: str, aside: str = "") -> str:
    """Write figures with their captions; those that are None are left out."""
    drawn = "".join(figure_html(svg, words) for svg, words in figures if svg is not None)
    return f'<div class="charts {layout}">{drawn}{aside}</div>' if drawn else ""


def figure_html(svg: str, words: str) -> str:
    """Write one figure: it scrolls where the page is narrow; its caption names it."""
    return (
        f'<figure><div class="scroller" tabindex="0" role="region" aria-label="{escape(words)}">'
        f"{svg}</div><figcaption>{escape(words)}</figcaption></figure>"
    )


def replace_text(path: Path, text: str) -> None:
    """Write a page that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, "utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
