"""Differences with their intervals -> a forest plot as SVG: a row for each setting, the baseline at the zero line, drawn for a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from basereward.report.markup import Html, join, tag
from basereward.report.panel import chart_style
from basereward.report.svg import LETTER, Axis, axis

WIDTH, ROW, HEAD, FOOT, EDGE = 360, 40, 8, 40, 18
# Above a plot that is a file: its title.
TITLE = 26
# Of a row: where its text stands, its line, its dots of seeds, and from where to where the grid is drawn, so that it crosses no text.
TEXT, LANE, SEEDS, GRID = 13, 26, 33, (18, 38)
Interval = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One row; without a value its words stand in the numbers' place.

    Attributes:
        interval: of itself, drawn thick; interval_all: of all rows together, drawn thin.
        words: numbers of the row as text. style: colour of `charts.css`.
        dots: of single seeds, pale.
    """

    name: str
    value: float | None
    words: str
    interval: Interval | None = None
    interval_all: Interval | None = None
    style: str = "s7"
    is_strong: bool = False
    dots: Sequence[float] = ()


def forest(lines: Sequence[Line], alt: str, *, form: Callable[[float], str], name: str, zero: float | None = 0.0) -> Html:
    """The plot.

    Args:
        alt: what it shows, in words.
        form: a tick as text. name: of the axis.
        zero: where the line to compare with stands; None for none.
    """
    along = axis(_ends(lines), form, name, include=() if zero is None else (zero,))
    height = HEAD + ROW * len(lines) + FOOT
    marks = [tag("title", alt), *_grid(along, height, zero)]
    for place, line in enumerate(lines):
        marks += _row(line, along, HEAD + ROW * place)
    return tag("svg", join(marks), viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=alt, class_="chart forest")


def forest_file(drawn: Html, title: str) -> bytes:
    """A plot as a file of its own, in the reader's colour scheme."""
    height = int(re.search(r'viewBox="0 0 \d+ (\d+)"', drawn)[1])
    head = tag("text", title, x=2, y=16, class_="heading")
    inner = Html(drawn.replace("<svg ", f'<svg y="{TITLE}" width="{WIDTH}" height="{height}" ', 1))
    size = {"width": WIDTH, "height": height + TITLE, "viewBox": f"0 0 {WIDTH} {height + TITLE}"}
    body = tag("svg", tag("style", Html(chart_style())), head, inner, xmlns="http://www.w3.org/2000/svg", class_="chart", **size)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'.encode()


def _ends(lines: Iterable[Line]) -> Iterable[float]:
    for line in lines:
        yield from line.dots
        yield from line.interval_all or line.interval or ()
        if line.value is not None:
            yield line.value


def _at(along: Axis, value: float) -> float:
    return EDGE + along.share(value) * (WIDTH - 2 * EDGE)


def _grid(along: Axis, height: int, zero: float | None) -> Iterable[Html]:
    bottom = height - FOOT
    tops = range(HEAD, bottom, ROW)

    def upright(value: float, style: str) -> Html:
        x = _at(along, value)
        return tag("path", d="".join(f"M{x:.1f} {top + GRID[0]}V{top + GRID[1]}" for top in tops), class_=style)

    for value in along.ticks:
        yield upright(value, "grid")
        yield tag("text", along.form(value), x=f"{_at(along, value):.1f}", y=bottom + 15, text_anchor="middle")
    if zero is not None:
        yield upright(zero, "zero")
    yield tag("text", along.name, x=WIDTH - EDGE, y=height - 6, text_anchor="end")


def _row(line: Line, along: Axis, top: int) -> Iterable[Html]:
    room = int(WIDTH / LETTER) - len(line.words) - 2
    shown = line.name if len(line.name) <= room else f"{line.name[: room - 1]}\N{HORIZONTAL ELLIPSIS}"
    strong = "strong" if line.is_strong else None
    yield tag("text", tag("title", line.name), shown, x=2, y=top + TEXT, class_=f"name {strong or ''}".strip())
    yield tag("text", line.words, x=WIDTH - 2, y=top + TEXT, text_anchor="end", class_=strong)
    y = top + LANE
    for span, weight in ((line.interval_all, "thin"), (line.interval, "thick")):
        if span is not None:
            yield tag("path", d=f"M{_at(along, span[0]):.1f} {y}H{_at(along, span[1]):.1f}", class_=f"line {weight} {line.style}")
    if line.dots:
        path = "".join(f"M{_at(along, dot):.1f} {top + SEEDS}h0" for dot in line.dots)
        yield tag("path", d=path, class_=f"dots faint {line.style}", stroke_width="4.4")
    if line.value is not None:
        yield tag("path", d=f"M{_at(along, line.value):.1f} {y}h0", class_=f"dots {line.style}", stroke_width="9")
