"""The section about training: charts, and every validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basereward.report.curve import SMOOTH_FROM
from basereward.report.markup import Html, folded, join, number, percent, table, tag
from basereward.report.panel import Panel, figures
from basereward.report.run_files import RunFiles


def training(run: RunFiles, charts: Sequence[Panel]) -> Html:
    """The charts, and every validation as a row."""
    if not charts:
        return tag("p", "Nothing was logged.", class_="empty")
    parts = [figures(charts), *_chart_notes(run)]
    if rows := [row for row in run.metrics if "eval_loss" in row]:
        parts.append(folded(f"All {len(rows)} validations", _validations(rows)))
    return join(parts)


def _chart_notes(run: RunFiles) -> Iterator[Html]:
    notes = ["The ring marks the best validation."] if run.best else []
    if len(run.series("loss")) >= SMOOTH_FROM:
        notes.append("Pale: each log line; strong: their running mean.")
    if notes:
        yield tag("p", " ".join(notes), class_="hint")


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
