"""The section about training: charts, or their numbers in words, and every validation."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from basereward.report.curve import SMOOTH_FROM, Panel
from basereward.report.markup import Html, folded, join, notice, number, percent, table, tag
from basereward.report.run_files import RunFiles


@dataclass(frozen=True)
class Charts:
    """The charts with one PNG each for a light and for a dark page; without PNGs where matplotlib is absent."""

    panels: Sequence[Panel]
    light: Sequence[bytes]
    dark: Sequence[bytes]


def training(run: RunFiles, charts: Charts) -> Html:
    """The charts, and every validation as a row."""
    if not charts.panels:
        return tag("p", "Nothing was logged.", class_="empty")
    parts = [_chart_grid(charts) if charts.light else _without_charts(charts), *_chart_notes(run)]
    if rows := [row for row in run.metrics if "eval_loss" in row]:
        parts.append(folded(f"All {len(rows)} validations", _validations(rows)))
    return join(parts)


def _chart_grid(charts: Charts) -> Html:
    figures = []
    for panel, light, dark in zip(charts.panels, charts.light, charts.dark, strict=True):
        image = tag(
            "picture",
            tag("source", srcset=_png(dark), media="(prefers-color-scheme: dark)"),
            tag("img", src=_png(light), alt=panel.alt, width=736, height=464),
        )
        figures.append(tag("figure", tag("figcaption", panel.title), image))
    return tag("div", *figures, class_="charts")


def _without_charts(charts: Charts) -> Html:
    """The same in words, where nothing could be drawn."""
    note = notice("The curve needs matplotlib, which was not installed when this page was made.")
    return join([note, tag("ul", *(tag("li", panel.alt) for panel in charts.panels))])


def _chart_notes(run: RunFiles) -> Iterator[Html]:
    notes = ["The ring marks the best validation."] if run.best else []
    if len(run.series("loss")) >= SMOOTH_FROM:
        notes.append("Pale: each log line; strong: their running mean.")
    if notes:
        yield tag("p", " ".join(notes), class_="hint")


def _png(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"


def _validations(rows: Sequence[Mapping[str, Any]]) -> Html:
    cells = (
        (
            number(row["step"], 0),
            number(row.get("eval_loss"), 4),
            percent(row.get("eval_accuracy")),
            percent(row.get("eval_ties")),
            number(row.get("eval_margin")),
            number(row.get("eval_reward_mean")),
            number(row.get("eval_reward_std")),
        )
        for row in rows
    )
    head = ("step", "loss", "accuracy", "ties", "margin", "mean reward", "deviation")
    return table(head, cells, caption="Validations", numbers=range(1, 7))
