"""Findings -> the charts about what a model believes and what it is drawn by: calibration, rewards, and rewards against lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from basereward.diagnostics.pairs import Pairs
from basereward.report.bars import Bar, bar_chart
from basereward.report.curve import style_of
from basereward.report.markup import MINUS, Html, number, percent
from basereward.report.panel import Panel
from basereward.report.scored_pairs import by_length
from basereward.report.svg import Axis, Chart, axis, signed_log

# Dots of the chart of lengths; of more pairs, so many are drawn at random.
MAX_DOTS = 500
LENGTH_TICKS = (-10_000, -1_000, -100, -10, 0, 10, 100, 1_000, 10_000)
SHORT_TICKS = (-8, -4, -2, -1, 0, 1, 2, 4, 8)
# Shares of margins that the chart of lengths cuts off on each side, so that one odd reward does not press all others flat.
CUT = 0.5
# Responses of a pair -> how they are drawn.
KINDS = {"better": "s0", "worse": "s1"}


def calibration(runs: Mapping[str, Mapping[str, Any]]) -> Panel:
    """How often the pick is right against how sure the model is of it; one line for each run, in the order of their colours.

    Args:
        runs: name -> the numbers of `diagnostics.calibration`.
    """
    curves = {name: found["reliability"] for name, found in runs.items()}
    words = "; ".join(
        f"{name}: {_curve_words(curve)}" if len(runs) > 1 else _curve_words(curve) for name, curve in curves.items()
    )
    lowest = min((bin["interval_95"][0] for curve in curves.values() for bin in curve), default=0.5)
    up = axis([lowest, 1.0], _whole_percent, "picks that are right", include=(0.5,))
    along = Axis(0.5, 1.0, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0], _whole_percent, "confidence")
    chart = Chart(along, up, f"Calibration. {words}.").rule((0.5, 0.5), (1.0, 1.0))
    for place, curve in enumerate(curves.values()):
        points = [(bin["confidence"], bin["right"]) for bin in curve]
        chart.whiskers([(bin["confidence"], *bin["interval_95"]) for bin in curve], style_of(place)).line(points, style_of(place))
        chart.dots(points, style_of(place), 3.2)
    note = (
        "Confidence is sigmoid(|difference of rewards|), in bins of equally many pairs, with 95% intervals. Below the dotted line a model "
        "is surer than it should be. A tie counts as half right in this chart alone."
    )
    if len(runs) == 1:
        note = f"{_error_words(next(iter(runs.values())))} {note}"
    legend = [(style_of(place), name) for place, name in enumerate(runs)] if len(runs) > 1 else ()
    return Panel("Calibration", chart, legend, note)


def _whole_percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _curve_words(curve: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"confidence {percent(bin['confidence'])}: {percent(bin['right'])} of {bin['n']:,} pairs right" for bin in curve
    )


def _error_words(found: Mapping[str, Any]) -> str:
    """The errors of the curve, and what the fitted temperature says."""
    errors = f"ECE {number(found['ece'])}, Brier {number(found['brier'])}, log loss {number(found['log_loss'])}."
    if found["temperature"] is None:
        return f"{errors} {str(found['why_no_temperature']).capitalize()}."
    kind = "too timid" if found["temperature"] < 1 else "too sure"
    after = found["cross_fitted"]
    there = f" (ECE {number(after['ece'])} on prompts it was not fitted on)" if after else ""
    return f"{errors} Fitted temperature {number(found['temperature'], 2)}, so {kind}{there}."


def distribution(found: Mapping[str, Any]) -> Panel:
    """Where the rewards of better and of worse responses lie; of `diagnostics.distribution`."""
    bins, spread = found["histogram"], found["spread"]
    ends = [bins[0]["low"], *(bin["high"] for bin in bins)]
    steps = axis(ends, _short_number, "reward")
    along = Axis(ends[0], ends[-1], [tick for tick in steps.ticks if ends[0] <= tick <= ends[-1]], steps.form, steps.name)
    up = axis((bin[key] for bin in bins for key in KINDS), lambda count: f"{count:,.0f}", "pairs", include=(0.0,))
    words = "; ".join(f"{key}: mean {number(spread[key]['mean'])}, deviation {number(spread[key]['std'])}" for key in KINDS)
    chart = Chart(along, up, f"Rewards. {words}.")
    for key, style in KINDS.items():
        outline = [(end, bin[key]) for bin in bins for end in (bin["low"], bin["high"])]
        chart.band([(x, 0.0, y) for x, y in outline], style).line(outline, style)
    share = found["within_prompts"]
    note = "Responses of all pairs; one that is in several pairs counts for each."
    if share is not None:
        note = (
            f"{percent(share)} of the variance of rewards is between responses to one prompt, all that a comparison uses. {note}"
        )
    return Panel("Rewards", chart, [(style, f"{key} response") for key, style in KINDS.items()], note)


def _short_number(value: float) -> str:
    return f"{value:.3g}".replace("-", MINUS)


def lengths(pairs: Pairs, seed: int = 0) -> Panel:
    """The reward difference of each pair against the length difference of its answers, and its median by range of lengths."""
    shown = _some(pairs, seed)
    reach = max(1.0, float(np.abs(pairs.longer_P).max()))
    low, high = np.percentile(pairs.margin_P, [CUT, 100 - CUT])
    up = axis([float(low), float(high)], _short_number, "reward difference", include=(0.0,))
    ticks = [tick for tick in (LENGTH_TICKS if reach >= 10 else SHORT_TICKS) if abs(tick) <= reach]
    along = Axis(
        -reach,
        reach,
        ticks,
        lambda value: f"{value:+,.0f}".replace("-", MINUS) if value else "0",
        "characters longer",
        signed_log,
    )
    bins = by_length(pairs)
    words = "; ".join(f"{bin.name}: median reward difference {number(bin.margin, signed=True)}" for bin in bins)
    chart = Chart(along, up, f"Reward difference by how much longer the preferred answer is. {words}.")
    chart.rule((-reach, 0.0), (reach, 0.0)).rule((0.0, up.low), (0.0, up.high))
    for style, right in (("s1 faint", False), ("s0 faint", True)):
        which = (shown.margin_P > 0) == right
        chart.dots(zip(shown.longer_P[which].tolist(), shown.margin_P[which].tolist()), style, 2.0)
    chart.line([(bin.at, bin.margin) for bin in bins], "s7").dots([(bin.at, bin.margin) for bin in bins], "s7", 3.2)
    legend = [("s0", "right"), ("s1", "wrong or tie"), ("s7", "median of a range")]
    note = "Preferred answer minus the other. A model that is drawn by length rises from left to right."
    if len(shown) < len(pairs):
        note += f" {len(shown):,} of {len(pairs):,} pairs are drawn, chosen at random; the medians are of all."
    return Panel("Rewards and lengths", chart, legend, note)


def accuracy_by(kind: str, title: str, runs: Mapping[str, Mapping[str, Any]], note: str = "") -> Html | None:
    """The share of right pairs in each slice of one kind; bars of each run, in the order of their colours. None for a single slice.

    Args:
        runs: name -> the numbers of `diagnostics.slices`.
    """
    slices = {name: found.get(kind) or {} for name, found in runs.items()}
    names = dict.fromkeys(name for found in slices.values() for name in found)
    if len(names) < 2:
        return None
    rows = [(name, [_slice_bar(found.get(name), place) for place, found in enumerate(slices.values())]) for name in names]
    legend = [(style_of(place), name) for place, name in enumerate(runs)] if len(runs) > 1 else ()
    return bar_chart(title, rows, legend=legend, note=note)


def _slice_bar(of: Mapping[str, Any] | None, place: int) -> Bar:
    style = style_of(place)
    return Bar(of["accuracy"], of["interval_95"], style, f"of {of['n']:,}") if of else Bar(None, style=style)


def _some(pairs: Pairs, seed: int) -> Pairs:
    if len(pairs) <= MAX_DOTS:
        return pairs
    return pairs.chosen(np.sort(np.random.default_rng(seed).choice(len(pairs), MAX_DOTS, replace=False)))
