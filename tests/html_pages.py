"""A page that the toolkit wrote, as a test reads it: its tags and text, and how wide a browser lays it out."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from browser import browser

VOID = {"meta", "img", "source", "br", "link", "input"}


class Page(HTMLParser):
    """A page's text and tags; fails on a tag that is not closed in its order."""

    def __init__(self, file: Path):
        super().__init__()
        self.source = file.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.feed(self.source)
        self.close()
        assert not self.open, f"left open: {self.open}"
        self.text = "".join(self.words)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]} at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    def cell_rows(self) -> list[str]:
        return [row.split("</tr>")[0] for row in self.source.split("<tr>")[1:]]


def widths(page: Path, folder: Path, *, window: int = 390) -> tuple[int, int]:
    """(width that the page needs, width that it has) in a window of a real browser, in pixels; skips the test without one.

    Args:
        folder: for the browser's profile.
    """
    with browser(folder / f"profile-{window}") as tab:
        tab.open(page, width=window)
        assert not tab.problems, tab.problems
        return tab.widths()
