"""Results -> what `basereward evaluate` prints: a table of one benchmark, and one of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from basereward.problems import counted
from basereward.samples import Sample
from basereward.text_tables import table as text_table

SHOWN_FAILURES = 3


def percent(value: float | None) -> str:
    """An accuracy for a table.

    >>> percent(0.5648), percent(None)
    ('56.5', '-')
    """
    return "-" if value is None else f"{100 * value:.1f}"


def between(interval: Sequence[float | None]) -> str:
    """An interval for a table."""
    return "-" if None in interval else f"{percent(interval[0])} to {percent(interval[1])}"


def table(numbers: Mapping[str, Any]) -> str:
    """The results as aligned text; a column for failures only where there are any, and for shuffled pictures where measured."""
    extra = [("failed", "failed", str)] if numbers["failed"] else []
    extra += [("shuffled", "shuffled_accuracy", percent)] if "shuffled_accuracy" in numbers else []
    head = ("category", "n", "accuracy", "95% interval", "ties", *(name for name, _, _ in extra), "blind")
    rows = []
    for name, of in [*numbers["categories"].items(), ("all", numbers)]:
        cells = [name or "(none)", str(of["n"]), percent(of["accuracy"]), between(of["interval_95"]), str(of["ties"])]
        rows.append((*cells, *(shown(of[key]) for _, key, shown in extra), percent(of.get("blind_accuracy"))))
    return f"{text_table(head, rows)}\n{baselines(numbers['baselines'])}"


def baselines(base: Mapping[str, float]) -> str:
    """The length baselines in one line; behind them by the benchmark's own rule, where it has one for them.

    >>> baselines({"longer_wins": 0.5, "shorter_wins": 0.4, "longer_wins_acc_plus": 0.3, "shorter_wins_acc_plus": 0.2})
    'longer wins 50.0 (acc plus 30.0), shorter wins 40.0 (acc plus 20.0)'
    """
    words = []
    for name in ("longer_wins", "shorter_wins"):
        own = {key.removeprefix(f"{name}_"): share for key, share in base.items() if key.startswith(f"{name}_")}
        more = ", ".join(f"{_words(key)} {percent(share)}" for key, share in own.items() if key != "macro")
        words.append(f"{_words(name)} {percent(base[name])}" + (f" ({more})" if more else ""))
    return ", ".join(words)


def _words(key: str) -> str:
    return key.replace("_", " ")


def told(numbers: Mapping[str, Any], samples: Sequence[Sample]) -> str:
    """Everything that is said of one benchmark's numbers."""
    title = f"{numbers['benchmark']}, version {numbers['version']}: {len(samples)} comparisons, {numbers['n']} pairs"
    return "\n".join(
        [
            "",
            title,
            "",
            table(numbers),
            *remarks(numbers),
            *own_numbers(numbers["own"]),
            *curves(numbers["own"]),
            *failures(samples),
        ]
    )


def own_numbers(own: Mapping[str, Any]) -> list[str]:
    """The benchmark's other numbers: single ones in a line, shares by name in a line each, and a table of what has several for each name.

    >>> own_numbers({"questions": 2, "acc_plus": 0.5, "sections": {"Chat": 0.25}})
    ['questions 2, acc plus 50.0', 'sections: Chat 25.0']
    """
    single = {name: value for name, value in own.items() if not isinstance(value, Mapping | list)}
    lines = [_named(single)] if single else []
    for name, of in own.items():
        if isinstance(of, Mapping) and of:
            rows = [value for value in of.values() if isinstance(value, Mapping)]
            lines.append(_own_table(name, of) if len(rows) == len(of) else f"{_words(name)}: {_named(of)}")
    return lines


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(name)} {_share(value)}" for name, value in values.items())


def _share(value: object) -> str:
    """Counts are whole numbers, all else are shares."""
    return str(value) if isinstance(value, int) else percent(value)


def _own_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    keys = [key for key, value in next(iter(rows.values())).items() if not isinstance(value, Mapping | list)]
    cells = [(name or "(none)", *(_share(of[key]) for key in keys)) for name, of in rows.items()]
    return f"\n{text_table((_words(title), *map(_words, keys)), cells)}"


def curves(own: Mapping[str, Any]) -> list[str]:
    """A table for each list of rows among a benchmark's own numbers."""
    lists = {name: rows for name, rows in own.items() if isinstance(rows, list) and rows and isinstance(rows[0], Mapping)}
    return [
        f"\n{_words(name)}\n" + text_table(tuple(rows[0]), [tuple(map(_cell, row.values())) for row in rows])
        for name, rows in lists.items()
    ]


def _cell(value: object) -> str:
    """A number of a curve, or an interval."""
    if isinstance(value, list | tuple):
        return " to ".join(map(_cell, value))
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def remarks(numbers: Mapping[str, Any]) -> list[str]:
    """The headline by the benchmark's own rule, and what makes the numbers other ones than they seem."""
    lines = list(numbers.get("notes", ()))
    if (edition := numbers["edition"]) not in (None, "official"):
        lines.append(f"edition: {edition}")
    if numbers["verified_on"] == "reference only":
        lines.append("this benchmark's rows were not at hand when it was written: its columns and counts follow a description")
    if (official := numbers["official"]) is not None:
        lines.append(f"official: {100 * official['value']:.2f} ({official['rule']})")
    if numbers["placeholders"]:
        lines.append(
            f"{counted(numbers['placeholders'], 'picture')} generated in the place of missing ones: no result of this benchmark"
        )
    if (legacy := numbers["legacy"]) is not None:
        shares = ", ".join(f"{name} {percent(of['accuracy'])} of {of['n']}" for name, of in legacy["categories"].items())
        lines.append(f"legacy split ({legacy['split']}): {shares}; macro {percent(legacy['macro'])}")
    return lines


def failures(samples: Sequence[Sample]) -> list[str]:
    """The first items that could not be scored, with their messages."""
    failed = [sample for sample in samples if sample.error is not None]
    if not failed:
        return []
    more = f"; {len(failed) - SHOWN_FAILURES} more in the file of the items" if len(failed) > SHOWN_FAILURES else ""
    title = f"{counted(len(failed), 'item')} could not be scored, counted as not correct{more}:"
    return [title, *(f"  {_with_id(sample)}" for sample in failed[:SHOWN_FAILURES])]


def _with_id(sample: Sample) -> str:
    """The message with the item's id before it, unless it begins with the line that the id is."""
    place = sample.error.partition(": ")[0]
    return sample.error if place.endswith(sample.id) else f"{sample.id}: {sample.error}"


def group_table(all_numbers: Sequence[Mapping[str, Any]], missing: Mapping[str, str]) -> str:
    """One row for each benchmark of a group, and why others are left out."""
    head = ("benchmark", "n", "accuracy", "95% interval", "official", "macro", "ties", "failed", "blind", "longer", "shorter")
    rows = []
    for of in all_numbers:
        official = None if of["official"] is None else of["official"]["value"]
        cells = (of["benchmark"], str(of["n"]), percent(of["accuracy"]), between(of["interval_95"]), percent(official))
        base = (of["baselines"]["longer_wins"], of["baselines"]["shorter_wins"])
        counts = (percent(of["macro"]), str(of["ties"]), str(of["failed"]), percent(of.get("blind_accuracy")))
        rows.append((*cells, *counts, *map(percent, base)))
    return "\n".join([text_table(head, rows), *(f"missing: {name}: {reason}" for name, reason in missing.items())])
