"""Shares with their intervals -> horizontal bars in plain HTML: names wrap, numbers are text, and a phone shows all of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from basereward.report.markup import DASH, Html, is_number, percent, tag
from basereward.report.panel import legend as legend_line

# What a mark on a bar stands for -> how it is drawn, in page.html.
MARKS = {"images removed": "hollow", "images of others": "square", "longer wins": "tick"}


@dataclass(frozen=True)
class Bar:
    """One share from 0 to 1; None where it is not known."""

    value: object
    interval: object = None
    """(low, high) of the 95% interval, or None."""
    style: str = "s0"
    note: str = ""
    """Behind the number, such as the number of pairs."""
    marks: Sequence[tuple[str, float]] = field(default_factory=tuple)
    """(name in `MARKS`, share) of other models to compare with."""


def bar_chart(
    title: str, rows: Iterable[tuple[object, Sequence[Bar]]], *, legend: Sequence[tuple[str, str]] = (), note: str = ""
) -> Html:
    """Rows of a name and its bars; a dotted line stands at a half.

    Args:
        legend: (style, name) of bars; what marks stand for is added.
    """
    rows = list(rows)
    names = dict.fromkeys(name for _, bars in rows for bar in bars for name, _ in bar.marks)
    keys = [*legend, *((f"mark {MARKS[name]}", name) for name in names)]
    items = (tag("li", tag("span", name, class_="bin"), tag("span", *map(_bar, bars), class_="lanes")) for name, bars in rows)
    hint = tag("p", note, class_="hint") if note else None
    return tag("figure", tag("figcaption", title), legend_line(keys), tag("ol", *items, class_="shares"), hint, class_="wide")


def interval_of(bounds: object) -> tuple[float, float] | None:
    """The two ends, where there are two numbers."""
    if isinstance(bounds, Sequence) and len(bounds) == 2 and all(map(is_number, bounds)):
        return bounds[0], bounds[1]
    return None


def interval_words(bounds: object) -> str:
    """An interval in words, or a dash."""
    found = interval_of(bounds)
    return f"{percent(found[0])} to {percent(found[1])}" if found else DASH


def _bar(bar: Bar) -> Html:
    words = [percent(bar.value)]
    if ends := interval_of(bar.interval):
        words.append(f"({100 * ends[0]:.1f} to {100 * ends[1]:.1f})")
    value = tag(
        "span", tag("b", words[0]), *(f" {word}" for word in words[1:]), f" {bar.note}" if bar.note else None, class_="value"
    )
    return tag("span", _lane(bar), value, class_=f"lane {bar.style}")


def _lane(bar: Bar) -> Html:
    """The drawn part; its numbers stand beside it as text."""
    parts = [tag("i", class_="fill", style=f"width:{_place(bar.value)}")] if is_number(bar.value) else []
    if ends := interval_of(bar.interval):
        low, high = ends
        parts.append(tag("i", class_="whisker", style=f"left:{_place(low)};width:{_place(high - low)}"))
    for name, value in bar.marks:
        if is_number(value):
            title = f"{name}: {percent(value)}"
            parts.append(tag("i", class_=f"mark {MARKS[name]}", style=f"left:{_place(value)}", title=title))
    return tag("span", *parts, class_="drawn", aria_hidden="true")


def _place(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%"
