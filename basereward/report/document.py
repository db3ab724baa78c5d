"""Sections -> one HTML file: nothing to fetch, no script but our own, written whole."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import string
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from basereward.report.markup import Html, clean, join, tag
from basereward.report.panel import chart_style
from basereward.runtime import write_bytes

# The head of the template, in which the kind stands, is shorter.
_HEAD_BYTES = 2000
_KIND = re.compile(r'<meta name="generator" content="([^"]*)">')


def write_document(file: Path, kind: str, title: str, body: Html, *, script: str = "") -> None:
    """Writes a page.

    Args:
        kind: what sort of page it is, such as "basereward run"; `kind_of` reads it back.
        title: plain text.
        script: the one that the page allows, by its hash; whatever else looks like one is not run.
    """
    template = string.Template(resources.files("basereward.report").joinpath("page.html").read_text(encoding="utf-8"))
    title = html.escape(clean(f"{title} \N{MIDDLE DOT} basereward"))
    policy = f"; script-src '{_hash(script)}'" if script else ""
    parts = {"body": body, "charts": chart_style(), "policy": policy, "script": tag("script", Html(script)) if script else ""}
    write_bytes(file, template.substitute(kind=html.escape(kind), title=title, **parts).encode("utf-8"))


def page_script() -> str:
    """Sorting and filtering, for pages that have something to sort."""
    return resources.files("basereward.report").joinpath("page.js").read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """What a content security policy calls a script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')}"


def kind_of(file: Path) -> str | None:
    """The kind of a page that `write_document` wrote; None for any other file."""
    with file.open("rb") as stream:
        found = _KIND.search(stream.read(_HEAD_BYTES).decode("utf-8", "replace"))
    return found[1] if found else None


def layout(kind: str, title: str, found: Mapping[str, tuple[str, Html]], *summary: Html) -> Html:
    """The body of a page: its title and summary, links to its sections, and the sections.

    Args:
        found: name of an anchor -> title and content of the section.
        summary: what stands under the title.
    """
    links = (tag("a", name, href=f"#{anchor}") for anchor, (name, _) in found.items())
    parts = (tag("section", tag("h2", name), content, id=anchor) for anchor, (name, content) in found.items())
    header = tag("header", tag("p", kind, class_="eyebrow"), tag("h1", title), *summary)
    return join([header, tag("nav", *links, aria_label="Sections"), tag("main", *parts)])


def tiles(*shown: tuple[str, object, str]) -> Html:
    """The numbers one looks for first: (name, value, note) each."""
    parts = (tag("div", tag("dt", name), tag("dd", value), tag("dd", note, class_="note")) for name, value, note in shown)
    return tag("dl", *parts, class_="tiles")
