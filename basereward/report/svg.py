"""Numbers -> one chart as SVG: its text is text, its colours are those of `charts.css`, and it is drawn for a phone's width.

A chart that is wider on the screen grows as a whole, so that letters stay legible on a phone without a second drawing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from basereward.report.markup import Html, join, tag

WIDTH, HEIGHT = 360, 244
LEFT, RIGHT, TOP, BOTTOM = 48, 18, 24, 40
# Of letters, about: what a label needs on each side of its tick.
LETTER = 6.8

Point = tuple[float, float]


def identity(value: float) -> float:
    """The scale of an axis on which equal steps are equal."""
    return value


def signed_log(value: float) -> float:
    """A scale for numbers of both signs over orders of magnitude: log2(1 + |value|) with the sign of the value.

    >>> signed_log(0.0), signed_log(-1.0), signed_log(3.0)
    (0.0, -1.0, 2.0)
    """
    return math.copysign(math.log2(1 + abs(value)), value)


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, with a label at each tick, all in the unit of the data."""

    low: float
    high: float
    ticks: Sequence[float]
    form: Callable[[float], str]
    name: str = ""
    scale: Callable[[float], float] = identity

    def share(self, value: float) -> float:
        """How far along the axis a value lies: 0 at `low`, 1 at `high`."""
        start, end = self.scale(self.low), self.scale(self.high)
        return (self.scale(value) - start) / (end - start) if end > start else 0.5


def axis(values: Iterable[float], form: Callable[[float], str], name: str = "", *, include: Sequence[float] = ()) -> Axis:
    """An axis around values, ending at round numbers.

    Args:
        include: values that must be on it too.
    """
    found = [*values, *include]
    steps = ticks(min(found, default=0.0), max(found, default=1.0))
    return Axis(steps[0], steps[-1], steps, form, name)


def ticks(low: float, high: float, at_most: int = 6) -> list[float]:
    """Round numbers, 1, 2 or 5 times a power of ten apart, from at or below `low` to at or above `high`.

    >>> ticks(0.13, 0.68)
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    >>> ticks(3.0, 3.0)
    [2.0, 2.5, 3.0, 3.5, 4.0]
    """
    if not high > low:
        low, high = (low - 1, high + 1) if abs(low) >= 1 or low == 0 else (low - abs(low), high + abs(high))
    exponent = math.floor(math.log10((high - low) / at_most))
    for factor in (1, 2, 5, 10, 20):
        step = factor * 10.0**exponent
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= at_most:
            break
    digits = max(0, -math.floor(math.log10(step)))
    return [round(k * step, digits) for k in range(first, last + 1)]


class Chart:
    """Marks on two axes, in the order in which they are added.

    Args:
        alt: what the chart shows, in words; read out in its place.
    """

    def __init__(self, x: Axis, y: Axis, alt: str):
        self.x, self.y, self.alt = x, y, alt
        self.marks: list[Html] = []

    def line(self, points: Iterable[Point], style: str) -> Chart:
        """A line through points; `style` names a colour of `charts.css`, and may add `pale` or `dashed`."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._place, points))
        return self._add(tag("polyline", points=path, class_=f"line {style}"))

    def band(self, points: Iterable[tuple[float, float, float]], style: str) -> Chart:
        """The room between two lines: (x, low, high) each."""
        points = list(points)
        outline = [(x, high) for x, _, high in points] + [(x, low) for x, low, _ in reversed(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._place, outline))
        return self._add(tag("polygon", points=path, class_=f"band {style}"))

    def dots(self, points: Iterable[Point], style: str, radius: float = 2.6) -> Chart:
        """A dot at each point, in one path: a dot is a line of no length with round ends."""
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in map(self._place, points))
        return self._add(tag("path", d=path, class_=f"dots {style}", stroke_width=f"{2 * radius:g}"))

    def ring(self, point: Point, style: str) -> Chart:
        """A circle around a point."""
        x, y = self._place(point)
        return self._add(tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=6, class_=f"ring {style}"))

    def whiskers(self, spans: Iterable[tuple[float, float, float]], style: str) -> Chart:
        """A vertical line for each (x, low, high)."""
        ends = ((self._place((x, low)), self._place((x, high))) for x, low, high in spans)
        path = "".join(f"M{x:.1f} {low:.1f}V{high:.1f}" for (x, low), (_, high) in ends)
        return self._add(tag("path", d=path, class_=f"line thin {style}"))

    def rule(self, start: Point, end: Point) -> Chart:
        """A dotted line to compare with."""
        (x1, y1), (x2, y2) = self._place(start), self._place(end)
        return self._add(tag("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", class_="rule"))

    def svg(self) -> Html:
        """The chart."""
        body = join([tag("title", self.alt), *self._grid(), *self.marks])
        return tag("svg", body, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=self.alt, class_="chart")

    def _add(self, mark: Html) -> Chart:
        self.marks.append(mark)
        return self

    def _place(self, point: Point) -> Point:
        """Data -> pixels; a value beyond the axis stands at its end."""
        across, up = (min(max(share, 0.0), 1.0) for share in (self.x.share(point[0]), self.y.share(point[1])))
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def _grid(self) -> Iterable[Html]:
        for value in self.y.ticks:
            _, y = self._place((self.x.low, value))
            yield tag("path", d=f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", class_="grid")
            yield tag("text", self.y.form(value), x=LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end")
        for value in _with_room(self.x, WIDTH - LEFT - RIGHT):
            x, _ = self._place((value, self.y.low))
            yield tag("text", self.x.form(value), x=f"{x:.1f}", y=HEIGHT - BOTTOM + 17, text_anchor="middle")
        if self.x.name:
            yield tag("text", self.x.name, x=WIDTH - RIGHT, y=HEIGHT - 6, text_anchor="end")
        if self.y.name:
            yield tag("text", self.y.name, x=LEFT, y=TOP - 10, text_anchor="start")


def _with_room(along: Axis, width: float) -> Iterable[float]:
    """The ticks whose labels do not touch the one before."""
    end = -math.inf
    for value in along.ticks:
        half = LETTER * len(along.form(value)) / 2
        place = along.share(value) * width
        if place - half > end:
            yield value
            end = place + half + LETTER
