"""Findings of `basereward diagnose` beyond rewards alone -> bars and tables: styles, the same written otherwise, length, drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from basereward.report.bars import Bar, bar_chart, difference_scale
from basereward.report.curve import style_of
from basereward.report.markup import DASH, Html, join, number, percent, table, tag


def styles(runs: Mapping[str, Mapping[str, Any]]) -> Html:
    """What the better answer gains or loses by each style, in units of the model's usual margin; bars of each run.

    Args:
        runs: name -> the numbers of `diagnostics.probes`.
    """
    first = next(iter(runs.values()))["styles"]
    names = sorted({name: None for of in runs.values() for name in of["styles"]}, key=lambda name: -_change(first.get(name)))
    rows = [(name.replace("_", " "), [_bar(of, name, place) for place, of in enumerate(runs.values())]) for name in names]
    legend = [(style_of(place), name) for place, name in enumerate(runs)] if len(runs) > 1 else ()
    note = (
        "The better answer in another style: its reward less that of the answer as it is, in units of the usual margin between better and "
        "worse answers; 0 is in the middle. A style alone should change little; an empty answer, an echo and a refusal should lose."
    )
    if len(runs) == 1:
        (of,) = runs.values()
        note += (
            f" {number(of['items'], 0)} items; as it is, the better answer is above the worse one in "
            f"{percent(of['original_beats_worse'])}, by a margin of {number(of['typical_margin'])} (root mean square)."
        )
    return bar_chart("Styles: what the reward follows", rows, legend=legend, note=note, scale=difference_scale(rows))


def _change(of: Mapping[str, Any] | None) -> float:
    return of["change"] if of else 0.0


def _bar(found: Mapping[str, Any], name: str, place: int) -> Bar:
    of, unit = found["styles"].get(name), found["typical_margin"]
    if not of or not unit:
        return Bar(None, style=style_of(place))
    interval = [end / unit for end in of["interval_95"]]
    return Bar(of["in_margins"], interval, style_of(place))


def consistency(found: Mapping[str, Any]) -> Html:
    """A row for each way to write the same; of `diagnostics.consistency`."""
    head = ("the same, written otherwise", "items", "margins moved by", "verdicts changed", "accuracy before", "after", "failed")
    rows = []
    for name, of in found["variants"].items():
        shares = (percent(of[key]) for key in ("change", "verdicts_changed", "accuracy_before", "accuracy"))
        rows.append((name.replace("_", " "), number(of["items"], 0), *shares, number(of["failed"], 0)))
    content = table(head, rows, caption="The same, written otherwise", numbers=range(1, len(head)), sortable=True)
    note = "Margins: root mean square of how far they moved, relative to their size. The row again is what rounding does."
    return join([tag("h4", "The same, written otherwise"), content, tag("p", note, class_="hint")])


def length(found: Mapping[str, Any]) -> Html:
    """What is said of rewards and lengths under their charts; of `diagnostics.length`."""
    ends = found["partial_interval_95"]
    interval = f" ({number(ends[0], signed=True)} to {number(ends[1], signed=True)})" if ends else ""
    words = (
        f"Correlation of reward and length: {number(found['within_prompts'], signed=True)} within prompts, "
        f"{number(found['partial'], signed=True)}{interval} with the label held fixed. "
        f"The longer answer has the greater reward in {percent(found['prefers_longer'])} of pairs, and is better in "
        f"{percent(found['better_is_longer'])}."
    )
    return tag("p", words, class_="hint")


def drift(found: Mapping[str, Any], against: object) -> Html:
    """How margins moved from another model's; of `diagnostics.drift`."""
    pairs = found["pairs"]
    n = sum(pairs.values())
    head = ("right before", "right now", "pairs", "share")
    kinds = (("right_in_both", "yes", "yes"), ("lost", "yes", "no"), ("gained", "no", "yes"), ("right_in_none", "no", "no"))
    rows = [(before, now, number(pairs[key], 0), percent(pairs[key] / n) if n else DASH) for key, before, now in kinds]
    words = (
        f"Margins now are {number(found['scale'], 2)} times as large (root mean square); their correlation with those before is "
        f"{number(found['correlation'], 2)}, of ranks {number(found['spearman'], 2)}; the distributions are {number(found['ks'], 2)} "
        f"apart (Kolmogorov-Smirnov), {number(found['ks_rescaled'], 2)} after each is brought to one scale."
    )
    content = table(head, rows, caption="Pairs before and now", numbers=(2, 3))
    return join([tag("h4", f"Drift from {against}"), content, tag("p", words, class_="hint")])
