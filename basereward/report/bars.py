"""Shares, or differences, with their intervals -> horizontal bars in plain HTML: names wrap, numbers are text, and a phone shows all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from basereward.report.markup import DASH, Html, is_number, number, percent, tag
from basereward.report.panel import legend as legend_line

# What a mark on a bar stands for -> how it is drawn, in page.html.
MARKS = {"images removed": "hollow", "images of others": "square", "longer wins": "tick"}


@dataclass(frozen=True)
class Scale:
    """What the left and the right end of a bar's room stand for, and how numbers are written. A dotted line stands in the middle."""

    low: float
    high: float
    form: Callable[[object], str]
    end_form: Callable[[float], str]
    """Of the two ends of an interval."""

    def place(self, value: float) -> float:
        """Per cent of the room from the left; a value beyond an end stands at it."""
        return 100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


SHARES = Scale(0.0, 1.0, percent, lambda share: f"{100 * share:.1f}")


@dataclass(frozen=True)
class Bar:
    """One number; None where it is not known."""

    value: object
    interval: object = None
    """(low, high) of the 95% interval, or None."""
    style: str = "s0"
    note: str = ""
    """Behind the number, such as the number of pairs."""
    marks: Sequence[tuple[str, float]] = field(default_factory=tuple)
    """(name in `MARKS`, number) of other models to compare with."""
    caution: str = ""
    """Why the number is not what it seems; such a bar is hatched."""


def bar_chart(
    title: str,
    rows: Iterable[tuple[object, Sequence[Bar]]],
    *,
    legend: Sequence[tuple[str, str]] = (),
    note: str = "",
    scale: Scale = SHARES,
) -> Html:
    """Rows of a name and its bars, each of which begins at 0.

    Args:
        legend: (style, name) of bars; what marks stand for is added.
    """
    rows = list(rows)
    names = dict.fromkeys(name for _, bars in rows for bar in bars for name, _ in bar.marks)
    keys = [*legend, *((f"mark {MARKS[name]}", name) for name in names)]
    lanes = ((name, tag("span", *(_bar(bar, scale) for bar in bars), class_="lanes")) for name, bars in rows)
    items = (tag("li", tag("span", name, class_="bin"), drawn) for name, drawn in lanes)
    hint = tag("p", note, class_="hint") if note else None
    return tag("figure", tag("figcaption", title), legend_line(keys), tag("ol", *items, class_="shares"), hint, class_="wide")


def difference_scale(rows: Iterable[tuple[object, Sequence[Bar]]], unit: float = 1.0, digits: int = 2) -> Scale:
    """The scale of numbers of both signs that holds all of them and their intervals, with 0 in the middle.

    Args:
        unit: of what is written; 0.01 writes shares as points.
    """
    found = [end for _, bars in rows for bar in bars for end in (bar.value, *(interval_of(bar.interval) or ())) if is_number(end)]
    reach = max(map(abs, found), default=0.0) or 1.0

    def form(value: object) -> str:
        return number(value / unit if is_number(value) else None, digits, signed=True)

    return Scale(-reach, reach, form, form)


def interval_of(bounds: object) -> tuple[float, float] | None:
    """The two ends, where there are two numbers."""
    if isinstance(bounds, Sequence) and len(bounds) == 2 and all(map(is_number, bounds)):
        return bounds[0], bounds[1]
    return None


def interval_words(bounds: object) -> str:
    """An interval in words, or a dash."""
    found = interval_of(bounds)
    return f"{percent(found[0])} to {percent(found[1])}" if found else DASH


def _bar(bar: Bar, scale: Scale) -> Html:
    words = [scale.form(bar.value)]
    if ends := interval_of(bar.interval):
        words.append(f"({scale.end_form(ends[0])} to {scale.end_form(ends[1])})")
    notes = (f" {bar.note}" if bar.note else None, tag("span", bar.caution, class_="caution") if bar.caution else None)
    value = tag("span", tag("b", words[0]), *(f" {word}" for word in words[1:]), *notes, class_="value")
    return tag("span", _lane(bar, scale), value, class_=f"lane {bar.style}{' hatched' if bar.caution else ''}")


def _lane(bar: Bar, scale: Scale) -> Html:
    """The drawn part; its numbers stand beside it as text."""
    parts = [tag("i", class_="fill", style=_span(scale, 0.0, bar.value))] if is_number(bar.value) else []
    if ends := interval_of(bar.interval):
        parts.append(tag("i", class_="whisker", style=_span(scale, *ends)))
    for name, value in bar.marks:
        if is_number(value):
            title = f"{name}: {scale.form(value)}"
            parts.append(tag("i", class_=f"mark {MARKS[name]}", style=f"left:{scale.place(value):.2f}%", title=title))
    return tag("span", *parts, class_="drawn", aria_hidden="true")


def _span(scale: Scale, one: float, other: float) -> str:
    start, end = sorted((scale.place(one), scale.place(other)))
    return f"left:{start:.2f}%;width:{end - start:.2f}%"
