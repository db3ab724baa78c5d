"""Counts -> bars in plain HTML, with every number as text beside its bar: nothing to load, and legible without colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from basereward.report.markup import Html, join, number, tag

# More different numbers than this are counted in as many ranges of one width.
MAX_BINS = 12
# Limits of the ranges of a length difference, on both sides of 0.
DIFFERENCES = (1, 16, 64, 256, 1024)
_MINUS, _PLUS = "\N{MINUS SIGN}", "+"

Bins = Sequence[tuple[str, int]]


def chart(title: str, bins: Bins, *, note: str = "") -> Html:
    """A bar for each (name, count), on the scale of the largest."""
    most = max((count for _, count in bins), default=0)
    rows = (_row(name, _bar(count, most), f"{count:,}") for name, count in bins)
    return _figure(title, rows, note)


def paired_chart(title: str, first: Bins, second: Bins, names: tuple[str, str], *, note: str = "") -> Html:
    """Two bars for each name, the first one's in colour; the names of both sides need not be the same, but in one order."""
    counts = [dict(first), dict(second)]
    most = max((count for side in counts for count in side.values()), default=0)
    rows = []
    for name in _merged(first, second):
        a, b = (side.get(name, 0) for side in counts)
        bars = join([_bar(a, most), _bar(b, most, "other")])
        rows.append(_row(name, bars, f"{a:,} / {b:,}"))
    legend = tag("p", tag("i", class_="key"), f" {names[0]} / ", tag("i", class_="key other"), f" {names[1]}", class_="legend")
    return _figure(title, rows, note, legend, style="bins paired")


def differences(values: np.ndarray) -> list[tuple[str, int]]:
    """(range, count) of whole numbers below, at and above 0, the lowest first.

    >>> differences(np.array([-20, 0, 3, 5000]))[1:6]
    [('−1,023 to −256', 0), ('−255 to −64', 0), ('−63 to −16', 1), ('−15 to −1', 0), ('0', 1)]
    """
    edges = [*DIFFERENCES, np.inf]
    sides = {}
    for sign in (_MINUS, _PLUS):
        size = -values if sign == _MINUS else values
        counts = [int(((size >= low) & (size < high)).sum()) for low, high in zip(edges, edges[1:])]
        sides[sign] = [(_range(sign, low, high), count) for (low, high), count in zip(zip(edges, edges[1:]), counts)]
    return [*reversed(sides[_MINUS]), ("0", int((values == 0).sum())), *sides[_PLUS]]


def numbers(values: np.ndarray) -> list[tuple[str, int]]:
    """(number, count) of values of which few are different; (range, count) of the others, in ranges of one width.

    >>> numbers(np.array([2, 2, 3]))
    [('2', 2), ('3', 1)]
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= MAX_BINS:
        return [(f"{value:,.4g}".replace("-", _MINUS), int(count)) for value, count in zip(distinct, counts)]
    counts, edges = np.histogram(values, bins=MAX_BINS)
    digits = 0 if edges[1] - edges[0] >= 10 else 2
    names = [f"{number(low, digits)} to {number(high, digits)}" for low, high in zip(edges, edges[1:])]
    return list(zip(names, counts.tolist()))


def _range(sign: str, low: float, high: float) -> str:
    if high == np.inf:
        return f"{sign}{low:,} or {'less' if sign == _MINUS else 'more'}"
    ends = (high - 1, low) if sign == _MINUS else (low, high - 1)
    return f"{sign}{ends[0]:,} to {sign}{ends[1]:,}"


def _merged(first: Bins, second: Bins) -> list[str]:
    """Names of both, in the order of the numbers that they begin with."""
    names = dict.fromkeys([*(name for name, _ in first), *(name for name, _ in second)])
    return sorted(names, key=lambda name: int(name.split(" ", 1)[0].replace(",", "")))


def _bar(count: int, most: int, style: str | None = None) -> Html:
    """A count that is not 0 is never an empty bar."""
    width = max(100 * count / most, 0.5) if count else 0
    return tag("span", tag("i", style=f"width:{width:.1f}%", class_=style), class_="track", aria_hidden="true")


def _row(name: str, bars: Html, count: str) -> Html:
    return tag("li", tag("span", name, class_="bin"), tag("span", bars, class_="tracks"), tag("span", count, class_="count"))


def _figure(title: str, rows: Iterable[Html], note: str, legend: Html | None = None, *, style: str = "bins") -> Html:
    hint = tag("p", note, class_="hint") if note else None
    return tag("figure", tag("figcaption", title), legend, tag("ol", *rows, class_=style), hint)
