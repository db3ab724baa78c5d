"""An evaluation against another one on the same items -> bars of the differences, and a table with what chance allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basereward.errors import DataError
from basereward.report.bars import Bar, Scale, bar_chart, difference_scale
from basereward.report.curve import style_of
from basereward.report.markup import Html, folded, join, notice, number, percent, table, tag
from basereward.report.run_files import Evaluation
from basereward.significance import compared

POINT = 0.01
HEAD = ("pairs", "here", "there", "difference", "95% interval", "right here alone", "right there alone", "McNemar p")
NOTE = (
    "Differences of accuracy in percentage points; 0 is in the middle. The interval is a paired bootstrap over prompts; p is exact and "
    "two-sided, as if every pair stood alone. Nothing is corrected for looking at several categories."
)


def against(found: Evaluation) -> Html | None:
    """What against.json says; None without one."""
    numbers = found.against
    if not isinstance(numbers.get("categories"), Mapping):
        return None
    title = tag("h4", f"Against {numbers.get('other_model')}", tag("small", f" {numbers.get('other')}"))
    rows = [*_named(numbers["categories"]), (tag("strong", "all"), numbers)]
    bars = [(name, [_bar(of)]) for name, of in rows]
    chart = bar_chart(f"{found.name}: difference by category", bars, scale=_scale(bars), note=_note(numbers))
    return join([title, chart, _table("category", rows, f"{found.name} against {numbers.get('other_model')}")])


def against_first(title: str, found: Mapping[str, Evaluation], places: Mapping[str, int]) -> Html | None:
    """Each run against the first of those with samples; None where there is no second one.

    Args:
        found: run -> its evaluation of one benchmark in one version.
        places: run -> its place on the page, which is its colour.
    """
    judged = [name for name, each in found.items() if each.samples]
    if len(judged) < 2:
        return None
    first, *others = judged
    differing, refused = {}, []
    for name in others:
        try:
            differing[name] = compared(found[name].samples, found[first].samples)
        except DataError as error:
            refused.append(notice(f"{name} cannot be compared pair by pair with {first}: {error}"))
    parts = [tag("h4", f"Pair by pair against {first}"), *refused]
    return join([*parts, *_charts(title, differing, places, first)] if differing else parts)


def _charts(title: str, differing: Mapping[str, Mapping[str, Any]], places: Mapping[str, int], first: str) -> Iterator[Html]:
    """Bars of all runs, a table of all pairs, and one of categories for each run."""
    names = dict.fromkeys(name for found in differing.values() for name in found["categories"])
    rows = [
        (name or "(none)", [_bar(of["categories"].get(name), places[run]) for run, of in differing.items()]) for name in names
    ]
    whole = (tag("strong", "all"), [_bar(of, places[run]) for run, of in differing.items()])
    bars = [*rows, whole] if len(rows) > 1 else [whole]
    legend = [(style_of(places[run]), run) for run in differing]
    note = f"{_note(max(differing.values(), key=lambda of: of['n'] - of['num_prompts']))} In the table, there is {first}."
    yield bar_chart(f"{title}: difference from {first}", bars, legend=legend, scale=_scale(bars), note=note)
    yield _table("run", list(differing.items()), f"{title}: each run against {first}")
    if len(names) > 1:
        tables = (join([tag("h4", run), _table("category", _named(of["categories"]), f"{run} against {first}")])
                  for run, of in differing.items())  # fmt: skip
        yield folded(f"Against {first}, by category", join(tables))


def _named(categories: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name or "(none)", of) for name, of in categories.items()]


def _bar(of: Mapping[str, Any] | None, place: int = 0) -> Bar:
    return (
        Bar(of["difference"], of["interval_95"], style_of(place), f"of {of['n']:,}") if of else Bar(None, style=style_of(place))
    )


def _scale(rows: Sequence[tuple[object, Sequence[Bar]]]) -> Scale:
    return difference_scale(rows, POINT, digits=1)


def _note(of: Mapping[str, Any]) -> str:
    if of["num_prompts"] >= of["n"]:
        return NOTE
    return f"{NOTE} {of['n']:,} pairs share {of['num_prompts']:,} prompts, so p is too small: go by the interval."


def _table(first: str, rows: list[tuple[object, Mapping[str, Any]]], caption: str) -> Html:
    cells = []
    for name, of in rows:
        low, high = (number(end / POINT, 1, signed=True) for end in of["interval_95"])
        shares = (
            percent(of["accuracy"]),
            percent(of["other_accuracy"]),
            tag("strong", number(of["difference"] / POINT, 1, signed=True)),
        )
        alone = (number(of["only_here"], 0), number(of["only_there"], 0), p_value(of["mcnemar_p"]))
        cells.append((name, number(of["n"], 0), *shares, f"{low} to {high}", *alone))
    return table((first, *HEAD), cells, caption=caption, numbers=range(1, len(HEAD) + 1), sortable=True)


def p_value(p: float) -> str:
    """Two digits; the least ones by their order alone.

    >>> p_value(0.0234), p_value(1.0), p_value(1.8e-8)
    ('0.023', '1', '1.8e-08')
    """
    return f"{p:.2g}"
