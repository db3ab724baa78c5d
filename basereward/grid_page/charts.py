"""Numbers of a grid -> charts: settings against the baseline, factors, lines over numbers, and courses of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from basereward.checkpoint import FINAL
from basereward.grid_page.columns import accuracy
from basereward.grid_page.forest import Line, forest
from basereward.grid_page.words import mark, p_value, points, span
from basereward.grid_results import GridResults
from basereward.grid_settings import short_keys
from basereward.grid_statistics.comparison import BETTER, WORSE, Compared, Difference
from basereward.grid_statistics.contrasts import contrasts
from basereward.grid_statistics.trends import Trend, effect_weights, trend
from basereward.report.curve import overlaid, style_of
from basereward.report.markup import Html, percent, tag
from basereward.report.markup import short as short_number
from basereward.report.panel import Panel
from basereward.report.run_files import count_parameters, read_metrics
from basereward.report.svg import Axis, Chart, axis

# The factor whose values have a size.
BACKBONE = "backbone"
STYLES = {BETTER: "s2", WORSE: "s1"}
# Courses that one chart can hold.
MAX_COURSES = 8


def tick(share: float) -> str:
    """A difference on an axis."""
    return points(share, 0)


def against_baseline(name: str, found: Compared, reasons: Mapping[str, str]) -> Html:
    """A row for each setting, best first; the baseline among them.

    Args:
        reasons: setting without results -> why.
    """
    order = sorted(found.settings, key=lambda setting: -found.settings[setting].mean)
    last = [Line(setting, None, why if len(why) < 30 else "no results") for setting, why in reasons.items()]
    if found.baseline not in found.settings:
        return _accuracies(name, found, order, last)
    lines = [*(_line(setting, found) for setting in order), *last]
    words = "; ".join(f"{line.name} {line.words}" for line in lines)
    drawn = forest(lines, f"{name}: difference to {found.baseline}. {words}", form=tick, name=f"points against {found.baseline}")
    return _figure(f"{name}: every setting against {found.baseline}", drawn)


def _accuracies(name: str, found: Compared, order: Sequence[str], last: Sequence[Line]) -> Html:
    """Where the baseline has no results there are no differences."""
    lines = [Line(each, of.mean, f"{accuracy(of)}%", of.interval, is_strong=each == found.winner, dots=of.seed_means)
             for each in order if (of := found.settings[each])]  # fmt: skip
    words = "; ".join(f"{line.name} {line.words}" for line in lines)
    drawn = forest([*lines, *last], f"{name}: accuracy. {words}", form=percent, name="accuracy", zero=None)
    return _figure(f"{name}: every setting", drawn, f"Nothing is drawn against {found.baseline}, which has no results.")


def _line(setting: str, found: Compared) -> Line:
    of, base = found.settings[setting], found.settings[found.baseline].mean
    share, dots = f"{accuracy(of)}%", [each - base for each in of.seed_means] if len(of.seed_means) > 1 else []
    if setting == found.baseline:
        return Line(setting, 0.0, f"{share}, baseline", dots=dots, is_strong=setting == found.winner)
    words = f"{share}\N{EN SPACE}{points(of.difference.value)}{mark(of.difference)}"
    interval = of.difference.interval, of.difference.interval_all
    style = STYLES.get(of.difference.verdict, "s7")
    return Line(setting, of.difference.value, words, *interval, style, setting == found.winner, dots)


def _figure(title: str, drawn: Html, note: str = "") -> Html:
    return tag("figure", tag("figcaption", title), drawn, tag("p", note, class_="hint") if note else None)


def effects(name: str, grid: GridResults, found: Compared) -> Html | None:
    """What each value of each factor changes by itself, averaged over settings that differ in nothing else."""
    names = list(found.settings)
    settings = [grid.settings[each] for each in names]
    short, base, rows, weights = short_keys(list(grid.factors)), grid.settings[grid.baseline], [], []
    for key, values in grid.factors.items():
        to = base.get(key, values[0])
        for value in values:
            weight = effect_weights(settings, key, value, to) if value != to else None
            if weight is not None:
                rows.append((f"{short[key]}: {value}, not {to}", weight))
                weights.append(weight)
    if len(grid.factors) < 2 or not rows:
        return None
    of = contrasts(found.moments, np.array(weights), families=len(grid.benchmarks))
    lines = []
    for k, (title, _) in enumerate(rows):
        value, half, half_all = float(of.value_K[k]), float(of.half_K[k]), float(of.half_all_K[k])
        told = abs(value) > half_all and found.knows_seeds
        each = Difference(value, (value - half, value + half), (value - half_all, value + half_all), 0.0, float(of.p_all_K[k]),
                          (BETTER if value > 0 else WORSE) if told else "")  # fmt: skip
        words = f"{points(value)} ({span(each.interval_all)}){mark(each)}"
        lines.append(Line(title, value, words, each.interval, each.interval_all, STYLES.get(each.verdict, "s7")))
    alt = "; ".join(f"{line.name}: {line.words}" for line in lines)
    drawn = forest(lines, f"{name}: effect of each factor. {alt}", form=tick, name="points")
    note = "Means over all pairs of settings that differ in this factor alone; intervals hold together."
    return _figure(f"{name}: what each factor changes", drawn, note)


def lines_over_numbers(name: str, grid: GridResults, found: Compared) -> Iterator[Panel]:
    """For each factor whose values are numbers, and for the size of backbones: accuracies over it, with the line through them."""
    short, seen = short_keys(list(grid.factors)), []
    for key, texts in grid.factors.items():
        written = {number: text for text in texts if (number := as_number(text)) is not None}
        values = {setting: as_number(grid.settings[setting].get(key)) for setting in found.settings}
        if key == BACKBONE and None in values.values():
            values = {setting: _parameters(grid, setting) for setting in found.settings}
            written = {number: short_number(number) for number in values.values() if number}
        if None in values.values() or len(set(values.values())) < 3 or values in seen:
            continue
        seen.append(values)
        line, title = trend(found.moments, list(values.values())), "parameters" if key == BACKBONE else short[key]
        yield _trend_panel(f"{name} over {title}", _along(title, written, is_log=line.is_log), found, values, line)


def as_number(text: str | None) -> float | None:
    """A factor's value as a number; a ratio such as 1-to-0.5 is the share of what stands second.

    >>> as_number("1e-5"), as_number("3-to-1"), as_number("mlp"), as_number(None)
    (1e-05, 0.25, None, None)
    """
    first, _, second = (text or "").partition("-to-")
    try:
        return float(second) / (float(first) + float(second)) if second else float(first)
    except (ValueError, ZeroDivisionError):
        return None


def _parameters(grid: GridResults, setting: str) -> float | None:
    """Of the final model of the setting's first run that has one."""
    found = (count_parameters(run.folder / FINAL) for run in grid.runs_of(setting))
    return next((float(number) for number in found if number), None)


def _trend_panel(title: str, along: Axis, found: Compared, values: Mapping[str, float], line: Trend) -> Panel:
    means = [(values[setting], of.mean) for setting, of in found.settings.items()]
    spans = [(values[setting], *of.interval) for setting, of in found.settings.items()]
    ends = [end for _, low, high in spans for end in (low, high)]
    up = axis(ends, lambda share: f"{100 * share:.0f}%", "accuracy")
    slope, half = float(line.slope.value_K[0]), float(line.slope.half_K[0])
    step = "ten times as much" if line.is_log else f"one more of {along.name}"
    words = f"{points(slope)} points for {step} (95%: {span((slope - half, slope + half))})"
    if line.bend is not None:
        words += f"; departure from a straight line: p = {p_value(float(line.bend.p_K[0]))}"
    chart = Chart(along, up, f"{title}: {words}.")
    chart.band([(at, low, high) for at, _, low, high in line.line], "s0").line([(at, mean) for at, mean, _, _ in line.line], "s0")
    seeds = [(values[setting], mean) for setting, of in found.settings.items() for mean in of.seed_means]
    chart.dots(seeds, "s7 faint", 2.0).whiskers(spans, "s7").dots(means, "s7", 3.6)
    note = f"{words}. Pale: single seeds. The line's interval says nothing of numbers beyond those that were tried."
    return Panel(title, chart, (), note)


def _along(name: str, written: Mapping[float, str], *, is_log: bool) -> Axis:
    """The axis of a factor, with its values as the grid writes them."""
    values = sorted(written)
    low, high = values[0], values[-1]
    if is_log:
        return Axis(low / 1.3, high * 1.3, values, written.__getitem__, name, lambda value: float(np.log10(value)))
    return Axis(low - 0.05 * (high - low), high + 0.05 * (high - low), values, written.__getitem__, name)


@dataclass(frozen=True)
class Course:
    """The mean of what the runs of a setting logged, step by step; what `overlaid` draws."""

    rows: Mapping[str, Sequence[tuple[int, float]]]

    def series(self, key: str) -> list[tuple[int, float]]:
        return list(self.rows.get(key, ()))


def courses(grid: GridResults, found: Compared | None) -> list[Panel]:
    """Loss and validation of the best settings, or the first where none was judged, and of the baseline; each the mean over its seeds."""
    order = sorted(found.settings, key=lambda name: -found.settings[name].mean) if found else list(grid.settings)
    shown = [name for name in grid.settings if name in {*order[: MAX_COURSES - 1], grid.baseline}]
    return overlaid({name: _course(grid, name) for name in shown})


def _course(grid: GridResults, setting: str) -> Course:
    logged = [read_metrics(run.folder / "metrics.jsonl") for run in grid.runs_of(setting)]
    rows = {}
    for key in ("loss", "eval_loss", "eval_accuracy"):
        by_step: dict[int, list[float]] = {}
        for run in logged:
            for row in run:
                if isinstance(row.get(key), int | float) and np.isfinite(row[key]):
                    by_step.setdefault(row["step"], []).append(row[key])
        # Steps that only some of the runs have reached would bend the mean.
        most = max(map(len, by_step.values()), default=0)
        rows[key] = [(step, float(np.mean(values))) for step, values in sorted(by_step.items()) if len(values) == most]
    return Course(rows)


def key_of(place: int, name: str) -> Html:
    """A colour and what it stands for."""
    return tag("span", tag("i", class_=f"key {style_of(place)}"), f" {name}", class_="entry")
