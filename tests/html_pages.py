"""A page that the toolkit wrote, as a test reads it: its tags and text, and how wide a browser lays it out."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

VOID = {"meta", "img", "source", "br", "link"}


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
        self.words.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    def cell_rows(self) -> list[str]:
        return [row.split("</tr>")[0] for row in self.source.split("<tr>")[1:]]


def widths(page: Path, folder: Path, *, window: int = 390) -> tuple[int, int]:
    """(width that the page needs, width that it has) in a window of a real browser, in pixels; skips the test without one.

    Args:
        folder: for the browser's profile and a copy of the page that may measure itself; the page itself allows no script.
        window: the browser makes very narrow windows wider; what the page has says how wide.
    """
    browser = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium or Chrome on this machine to lay the page out")
    measure = (
        "<script>document.title = `${document.documentElement.scrollWidth} of ${document.documentElement.clientWidth}`</script>"
    )
    text = page.read_text(encoding="utf-8").replace("Content-Security-Policy", "x").replace("</body>", f"{measure}</body>")
    (folder / "measured.html").write_text(text, encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
               "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'profile'}",
               f"--window-size={window},844", "--dump-dom", (folder / "measured.html").as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"{browser} does not start here: {done.stderr[-200:]}")
    needed, there = done.stdout.partition("<title>")[2].partition("</title>")[0].split(" of ")
    return int(needed), int(there)
