"""Pairs -> the charts about what a model believes and what it is drawn by: calibration, and rewards against lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from basereward.diagnostics.pairs import Pairs
from basereward.report.bars import Bar, bar_chart
from basereward.report.curve import style_of
from basereward.report.markup import MINUS, Html, number, percent
from basereward.report.panel import Panel
from basereward.report.scored_pairs import Bin, by_length, reliability
from basereward.report.svg import Axis, Chart, axis, signed_log

# Dots of the chart of lengths; of more pairs, so many are drawn at random.
MAX_DOTS = 500
LENGTH_TICKS = (-10_000, -1_000, -100, -10, 0, 10, 100, 1_000, 10_000)
# Shares of margins that the chart of lengths cuts off on each side, so that one odd reward does not press all others flat.
CUT = 0.5


def calibration(runs: Mapping[str, Pairs]) -> Panel:
    """How often the pick is right against how sure the model is of it; one line for each run, in the order of their colours."""
    found = {name: reliability(pairs) for name, pairs in runs.items()}
    words = "; ".join(
        f"{name}: {_reliability_words(bins)}" if len(runs) > 1 else _reliability_words(bins) for name, bins in found.items()
    )
    ticks = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    lowest = min((bin.interval[0] for bins in found.values() for bin in bins), default=0.5)
    up = axis([lowest, 1.0], lambda share: f"{100 * share:.0f}%", "picks that are right", include=(0.5,))
    chart = Chart(Axis(0.5, 1.0, ticks, lambda share: f"{100 * share:.0f}%", "confidence"), up, f"Calibration. {words}.")
    chart.rule((0.5, 0.5), (1.0, 1.0))
    for place, bins in enumerate(found.values()):
        points = [(bin.at, bin.right) for bin in bins]
        chart.whiskers([(bin.at, *bin.interval) for bin in bins], style_of(place)).line(points, style_of(place))
        chart.dots(points, style_of(place), 3.2)
    note = (
        "Confidence is sigmoid(|difference of rewards|), in bins of equally many pairs, with 95% intervals. Below the dotted line a model "
        "is surer than it should be. A tie counts as half right in this chart alone."
    )
    legend = [(style_of(place), name) for place, name in enumerate(found)] if len(runs) > 1 else ()
    return Panel("Calibration", chart, legend, note)


def _reliability_words(bins: Sequence[Bin]) -> str:
    return "; ".join(f"confidence {percent(bin.at)}: {percent(bin.right)} of {bin.n:,} pairs right" for bin in bins)


def lengths(pairs: Pairs, seed: int = 0) -> Panel:
    """The reward difference of each pair against the length difference of its answers, and its median by range of lengths."""
    shown = _some(pairs, seed)
    reach = max(1.0, float(np.abs(pairs.longer_P).max()))
    low, high = np.percentile(pairs.margin_P, [CUT, 100 - CUT])
    up = axis([float(low), float(high)], lambda value: f"{value:.3g}".replace("-", MINUS), "reward difference", include=(0.0,))
    ticks = [tick for tick in LENGTH_TICKS if abs(tick) <= reach]
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


def accuracy_by_length(runs: Mapping[str, Pairs]) -> Html:
    """The share of right pairs by how much longer the preferred answer is; bars of each run."""
    found = {name: {bin.name: bin for bin in by_length(pairs)} for name, pairs in runs.items()}
    names = dict.fromkeys(name for pairs in runs.values() for name in _all_names(pairs))
    rows = [(name, [_length_bar(bins.get(name), place) for place, bins in enumerate(found.values())]) for name in names]
    legend = [(style_of(place), name) for place, name in enumerate(found)] if len(runs) > 1 else ()
    note = "Characters by which the preferred answer is longer or shorter. Without a bias, both sides are as often right."
    return bar_chart("Accuracy by length difference", rows, legend=legend, note=note)


def _all_names(pairs: Pairs) -> list[str]:
    return [bin.name for bin in by_length(pairs)]


def _length_bar(bin: Bin | None, place: int) -> Bar:
    return Bar(bin.right, bin.interval, style_of(place), f"of {bin.n:,}") if bin else Bar(None, style=style_of(place))


def _some(pairs: Pairs, seed: int) -> Pairs:
    if len(pairs) <= MAX_DOTS:
        return pairs
    return pairs.chosen(np.sort(np.random.default_rng(seed).choice(len(pairs), MAX_DOTS, replace=False)))
