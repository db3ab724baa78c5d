"""A chart with its title and legend, as a figure of a page; or several as one SVG file that stands for itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from basereward.report.markup import Html, tag
from basereward.report.svg import HEIGHT, LEFT, WIDTH, Chart

# Above a chart of a file: its title and its legend, and room between charts.
HEAD, GAP = 44, 16


@dataclass(frozen=True)
class Panel:
    """One chart."""

    title: str
    chart: Chart
    legend: Sequence[tuple[str, str]] = ()
    """(style of the chart, what it stands for)."""
    note: str = ""


def figure(panel: Panel) -> Html:
    """A panel in a page."""
    note = tag("p", panel.note, class_="hint") if panel.note else None
    return tag("figure", tag("figcaption", panel.title), legend(panel.legend), panel.chart.svg(), note)


def figures(panels: Sequence[Panel]) -> Html:
    """Panels beside one another, as many as the screen has room for."""
    return tag("div", *map(figure, panels), class_="charts three" if len(panels) == 3 else "charts")


def legend(entries: Sequence[tuple[str, str]]) -> Html | None:
    """What the colours stand for; None where there is nothing to say."""
    if not entries:
        return None
    keys = (tag("span", tag("i", class_=f"key {style}"), f" {name}", class_="entry") for style, name in entries)
    return tag("p", *keys, class_="legend")


def chart_style() -> str:
    """The style sheet of charts."""
    return resources.files("basereward.report").joinpath("charts.css").read_text(encoding="utf-8")


def svg_file(panels: Sequence[Panel], *, columns: int = 2) -> bytes:
    """All panels as one SVG file, in the reader's colour scheme."""
    cell_width, cell_height = WIDTH + GAP, HEIGHT + HEAD + GAP
    columns = min(columns, len(panels))
    width, height = columns * cell_width + GAP, -(-len(panels) // columns) * cell_height + GAP
    parts = [tag("style", Html(chart_style()))]
    for place, panel in enumerate(panels):
        x, y = GAP + place % columns * cell_width, GAP + place // columns * cell_height
        drawn = panel.chart.svg().replace("<svg ", f'<svg y="{HEAD}" width="{WIDTH}" height="{HEIGHT}" ', 1)
        parts.append(tag("g", tag("text", panel.title, x=0, y=14, class_="heading"), *_keys(panel), Html(drawn),
                         transform=f"translate({x} {y})"))  # fmt: skip
    body = tag("svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", width=width, height=height,
               class_="chart")  # fmt: skip
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'.encode()


def _keys(panel: Panel) -> list[Html]:
    """The legend as SVG, on one line."""
    found, x = [], LEFT
    for style, name in panel.legend:
        found.append(tag("path", d=f"M{x} 30h12", class_=f"line {style}"))
        found.append(tag("text", name, x=x + 17, y=34))
        x += 17 + 7 * len(name) + 14
    return found
