"""Results of a grid -> rows: of text, one for each setting; and of numbers, one for each setting, benchmark and category."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from basereward.grid_page.words import chance, mark, p_value, points, span
from basereward.grid_results import GridResults
from basereward.grid_settings import short_keys
from basereward.grid_statistics.comparison import Compared, SettingNumbers

NONE = "\N{EN DASH}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


@dataclass(frozen=True)
class Cell:
    """One cell of a table; the strong one is the winner's."""

    text: str
    is_strong: bool = False


@dataclass(frozen=True)
class Columns:
    """A table as text.

    Attributes:
        head: names of the columns. rows: one for each setting, in the grid's order. names: how many columns name the setting.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    names: int


def columns(grid: GridResults, *, categories: bool = False) -> Columns:
    """Rows are settings; every benchmark has its accuracy, the difference to the baseline, p, and the chance to be the best."""
    shown = short_keys(list(grid.factors)) or {"": "setting"}
    blocks = list(_blocks(grid, categories))
    head = [*shown.values(), "runs", *(f"{title}{name}" for title, found, _ in blocks for name in _names(found, grid, title))]
    rows = []
    for name, setting in grid.settings.items():
        first = [Cell(setting.get(key, NONE) if key else name) for key in shown]
        cells = [cell for title, found, is_whole in blocks for cell in _cells(name, found, grid, title, is_whole)]
        rows.append([*first, Cell(_runs(grid, name)), *cells])
    return Columns(head, rows, len(shown))


def _blocks(grid: GridResults, categories: bool) -> Iterator[tuple[str, Compared | None, bool]]:
    """(title, numbers, whether they are of all pairs) of each benchmark, and of its categories; None of one that no run has."""
    tables = grid.tables()
    for name in grid.names:
        yield name, tables.get(name), True
        if categories and name in tables:
            yield from ((f"{name}: {category or '(none)'}", found, False) for category, found in grid.categories(name).items())


def _names(found: Compared | None, grid: GridResults, title: str) -> list[str]:
    if found is None:
        return [""]
    own = [", own rule"] if title in grid.benchmarks and grid.benchmarks[title].official else []
    to = grid.baseline if len(grid.factors) == 1 else "the baseline"
    more = ["", f", against {to}", *([", p", ", best"] if title in grid.tables() else [])]
    return [*more, *own]


def _cells(name: str, found: Compared | None, grid: GridResults, title: str, is_whole: bool) -> list[Cell]:
    of = found.settings.get(name) if found is not None else None
    if of is None:
        return [Cell(NONE)] * len(_names(found, grid, title))
    cells = [
        Cell(accuracy(of), is_strong=found.winner == name),
        Cell(_against(of, is_whole) if name != found.baseline else "baseline"),
    ]
    if is_whole:
        cells += [Cell(p_value(of.difference.p_all) if of.difference else NONE), Cell(chance(of.chance_best))]
    if is_whole and grid.benchmarks[title].official:
        cells.append(Cell(_mean(grid.benchmarks[title].official.get(name, ()))))
    return cells


def accuracy(of: SettingNumbers) -> str:
    """A mean with its deviation over seeds."""
    return f"{100 * of.mean:.1f}" + (f" {PLUS_MINUS} {100 * of.deviation:.1f}" if of.deviation is not None else "")


def _mean(values: Sequence[float]) -> str:
    if not values:
        return NONE
    return f"{100 * fmean(values):.1f}" + (f" {PLUS_MINUS} {100 * stdev(values):.1f}" if len(values) > 1 else "")


def _against(of: SettingNumbers, is_whole: bool) -> str:
    """Marks are for whole benchmarks: nothing corrects for looking at many categories."""
    if of.difference is None:
        return NONE
    return f"{points(of.difference.value)} ({span(of.difference.interval_all)}){mark(of.difference) if is_whole else ''}"


def _runs(grid: GridResults, setting: str) -> str:
    """How many of its runs were judged on everything: 3, or 2 of 3."""
    lacking = {run.name for run, _, _ in grid.missing() if run.setting == setting}
    planned = len(grid.runs_of(setting))
    return str(planned) if not lacking else f"{planned - len(lacking)} of {planned}"


def rows(grid: GridResults, *, categories: bool = True) -> list[dict[str, Any]]:
    """A flat mapping for each setting, benchmark and category, for a notebook or a file; shares from 0 to 1, None where not known."""
    found = []
    for name in grid.names:
        parts = [("", grid.tables().get(name))]
        parts += list(grid.categories(name).items()) if categories and name in grid.benchmarks else []
        for category, compared in parts:
            found += [_row(grid, setting, name, category, compared) for setting in grid.settings]
    return found


def _row(grid: GridResults, setting: str, benchmark: str, category: str, found: Compared | None) -> dict[str, Any]:
    of = found.settings.get(setting) if found is not None else None
    reasons = [f"{run.name}: {why}" for run, name, why in grid.missing() if run.setting == setting and name == benchmark]
    judged = grid.benchmarks[benchmark].official.get(setting, ()) if benchmark in grid.benchmarks and not category else ()
    difference = of.difference if of else None
    return {
        "setting": setting,
        **{key: grid.settings[setting].get(key) for key in grid.factors},
        "benchmark": benchmark, "category": category,
        "n": found.n if of else None, "prompts": found.num_groups if of else None,
        "runs": len(of.seed_means) if of else 0, "planned": len(grid.runs_of(setting)),
        "mean": of.mean if of else None, "deviation": of.deviation if of else None,
        "low": of.interval[0] if of else None, "high": of.interval[1] if of else None,
        "baseline": grid.baseline,
        "difference": difference.value if difference else None,
        "difference_low": difference.interval[0] if difference else None,
        "difference_high": difference.interval[1] if difference else None,
        "difference_low_all": difference.interval_all[0] if difference else None,
        "difference_high_all": difference.interval_all[1] if difference else None,
        "p": difference.p if difference else None, "p_all": difference.p_all if difference else None,
        "verdict": difference.verdict if difference else None,
        "chance_best": of.chance_best if of else None, "could_be_best": of.could_be_best if of else None,
        "own_rule": fmean(judged) if judged else None,
        "missing": "; ".join(reasons),
    }  # fmt: skip
