"""The benchmark's own curves over N -> charts: what the pick among N responses is worth, of one run or of several over each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from basereward.report.curve import style_of
from basereward.report.markup import Html, is_number, number, percent
from basereward.report.panel import Panel, figures
from basereward.report.svg import Axis, Chart, axis

Rows = Sequence[Mapping[str, Any]]
Form = Callable[[Any], str]
Places = Mapping[str, int] | None
# Ways to pick that are not the model's, the same for all models -> how they are drawn, and how beside several runs, whose colours differ.
OTHERS = {"oracle": "s2 dashed", "majority": "s3 dashed", "random": "s7 dashed"}
BESIDE_RUNS = "s7 dashed"
WORDS = {"oracle": "oracle (highest)", "majority": "majority", "random": "random (level)"}


def curves(runs: Mapping[str, Mapping[str, Any]], places: Places = None) -> Html | None:
    """Both curves, of those runs that have them; None without any.

    Args:
        runs: name -> `own` of results.json.
        places: run -> its place on a page of several, which is its colour; None for the page of one.
    """
    panels = []
    for key, panel in (("best_of_n", accuracy), ("over_optimisation", gold)):
        if having := {name: own[key] for name, own in runs.items() if own.get(key)}:
            panels.append(panel(having, places))
    return figures(panels) if panels else None


def accuracy(runs: Mapping[str, Rows], places: Places = None) -> Panel:
    """How often the pick is correct."""
    note = "Over all subsets of N responses of a prompt, with 95% intervals. An oracle is right where any of the N is."
    return _panel("Best of N: how often the pick is correct", runs, places, "picked", percent, _whole_percent, "correct", note)


def gold(runs: Mapping[str, Rows], places: Places = None) -> Panel:
    """The mean gold score of the pick."""
    last = next(iter(runs.values()))[-1]
    note = (
        "A curve that falls while N grows is a model that is followed further than it is right. Picking among "
        f"{last['n']:,} moves at most {number(last['kl'], 2)} nats from what was sampled."
    )
    return _panel("Best of N: gold score of the pick", runs, places, "gold", number, _three_digits, "gold score", note)


def _three_digits(score: float) -> str:
    return f"{score:.3g}"


def _whole_percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _panel(
    title: str, runs: Mapping[str, Rows], places: Places, key: str, form: Form, ticks: Form, name: str, note: str
) -> Panel:
    """A line with its interval for each run, and the other ways to pick of the first."""
    common, is_alone = next(iter(runs.values())), places is None and len(runs) == 1
    places = places or {run: place for place, run in enumerate(runs)}
    colours = {run: style_of(places[run]) for run in runs}
    known = [other for other in OTHERS if all(is_number(row.get(other)) for row in common)]
    others = {other: OTHERS[other] if is_alone else BESIDE_RUNS for other in known}
    values = [row[key] for rows in runs.values() for row in rows] + [row[other] for row in common for other in others]
    values += [end for rows in runs.values() for row in rows for end in row["interval_95"]]
    words = "; ".join(_words(rows, key, form) if is_alone else f"{run}: {_words(rows, key, form)}" for run, rows in runs.items())
    chart = Chart(_sizes(runs), axis(values, ticks, name), f"{title}, over N: {words}.")
    for other, style in others.items():
        chart.line([(row["n"], row[other]) for row in common], style)
    for run, rows in runs.items():
        points, colour = [(row["n"], row[key]) for row in rows], colours[run]
        chart.band([(row["n"], *row["interval_95"]) for row in rows], colour).line(points, colour).dots(points, colour, 3.2)
    legend = [(colour, run) for run, colour in colours.items()]
    beside = [(BESIDE_RUNS, ", ".join(WORDS[other] for other in known))]
    return Panel(title, chart, legend + ([(style, other) for other, style in others.items()] if is_alone else beside), note)


def _sizes(runs: Mapping[str, Rows]) -> Axis:
    """N, on which equal steps are doublings."""
    found = sorted({row["n"] for rows in runs.values() for row in rows})
    return Axis(found[0], found[-1], found, lambda n: f"{n:,.0f}", "N", math.log2)


def _words(rows: Rows, key: str, form: Form) -> str:
    return ", ".join(f"{form(row[key])} at N = {row['n']:,}" for row in rows)
