"""Metrics of runs -> charts over steps: loss, accuracy, rewards and learning rate of one run, or of several over each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from basereward.report.markup import number, percent
from basereward.report.panel import Panel
from basereward.report.run_files import RunFiles
from basereward.report.svg import Axis, Chart, Point, axis

# From so many log lines on, training is drawn as a running mean over its own pale line.
SMOOTH_FROM = 40
# A line has at most twice as many points: more than the screen has columns cannot be seen.
MAX_COLUMNS = 360
TRAINING, VALIDATION = "s0", "s1"
STEP = "step"


def panels(run: RunFiles) -> list[Panel]:
    """The charts for which a run logged anything."""
    found = []
    if run.series("loss") or run.series("eval_loss"):
        found.append(_two_lines(run, "loss", "Loss", number))
    if run.series("accuracy") or run.series("eval_accuracy"):
        found.append(_two_lines(run, "accuracy", "Accuracy", percent))
    if run.series("reward_mean"):
        found.append(_rewards(run))
    if run.series("learning_rate"):
        found.append(_rate(run))
    return found


def overlaid(runs: Mapping[str, RunFiles]) -> list[Panel]:
    """The same charts with a line for each run, by its name; a key that only one run has logged is shown too."""
    titles = {"loss": "Training loss", "eval_loss": "Validation loss", "eval_accuracy": "Validation accuracy",
              "learning_rate": "Learning rate"}  # fmt: skip
    found = []
    for key, title in titles.items():
        lines = {name: points for name, run in runs.items() if (points := run.series(key))}
        if not lines:
            continue
        form = percent if key == "eval_accuracy" else _rate_form if key == "learning_rate" else number
        words = "; ".join(f"{name} {_ends(points, form)}" for name, points in lines.items())
        chart = _chart(list(lines.values()), _tick_form(key), f"{title} over steps: {words}.", _include(key))
        for name, points in lines.items():
            style = style_of(list(runs).index(name))
            chart.line(thin(_smoothed(points) if key == "loss" else points), style)
            if key.startswith("eval_") and len(points) < SMOOTH_FROM:
                chart.dots(points, style)
        found.append(Panel(title, chart, [(style_of(list(runs).index(name)), name) for name in lines]))
    return found


def style_of(place: int) -> str:
    """The colour of the run at a place of a comparison; from the ninth on, again with dashes."""
    return f"s{place % 8}" + (" dashed" if place >= 8 else "")


def smooth(values: Sequence[float]) -> tuple[np.ndarray, int]:
    """(centred running mean, its width in log lines): a thirtieth of the run, shorter at both ends."""
    array = np.asarray(values, dtype=np.float64)
    width = max(1, len(array) // 30) if len(array) >= SMOOTH_FROM else 1
    width += (width + 1) % 2
    kernel = np.ones(width)
    return np.convolve(array, kernel, "same") / np.convolve(np.ones_like(array), kernel, "same"), width


def thin(points: Sequence[Point], columns: int = MAX_COLUMNS) -> list[Point]:
    """The lowest and the highest point of each of `columns` equal parts of a long line, in order: no peak is lost.

    >>> thin([(0, 1.0), (1, 5.0), (2, 3.0), (3, 0.0)], columns=1)
    [(1, 5.0), (3, 0.0)]
    """
    if len(points) <= 2 * columns:
        return list(points)
    kept = []
    for part in np.array_split(np.arange(len(points)), columns):
        values = [points[k][1] for k in part]
        kept += [points[k] for k in sorted({int(part[np.argmin(values)]), int(part[np.argmax(values)])})]
    return kept


def _two_lines(run: RunFiles, key: str, title: str, form: Callable[[object], str]) -> Panel:
    """Training as a line, validation as a line with a dot for each validation."""
    train, val = run.series(key), run.series(f"eval_{key}")
    chart = _chart([train, val], _tick_form(key), _words(run, key, form), _include(key))
    if key == "accuracy":
        chart.rule((chart.x.low, 0.5), (chart.x.high, 0.5))
    legend = []
    if train:
        if len(train) >= SMOOTH_FROM:
            chart.line(thin(train), f"{TRAINING} pale")
        chart.line(thin(_smoothed(train)), TRAINING)
        legend.append((TRAINING, "training"))
    if val:
        chart.line(thin(val), VALIDATION).dots(thin(val), VALIDATION)
        legend.append((VALIDATION, "validation"))
    if key == "accuracy" and run.best:
        chart.ring(run.best, VALIDATION)
    return Panel(title, chart, legend)


def _rewards(run: RunFiles) -> Panel:
    mean, deviation = run.series("reward_mean"), dict(run.series("reward_std"))
    spread = [(step, value - deviation.get(step, 0.0), value + deviation.get(step, 0.0)) for step, value in mean]
    val = run.series("eval_reward_mean")
    edges = [[(step, low) for step, low, _ in spread], [(step, high) for step, _, high in spread]]
    chart = _chart([*edges, val], _tick_form("reward"), _reward_words(run))
    keep = {step for edge in edges for step, _ in thin(edge)}
    chart.band([point for point in spread if point[0] in keep], TRAINING).line(thin(mean), TRAINING)
    legend = [(TRAINING, "training")]
    if val:
        chart.line(thin(val), VALIDATION).dots(thin(val), VALIDATION)
        legend.append((VALIDATION, "validation"))
    return Panel("Reward, mean \N{PLUS-MINUS SIGN} deviation", chart, legend)


def _rate(run: RunFiles) -> Panel:
    rates = run.series("learning_rate")
    step, peak = max(rates, key=lambda point: point[1])
    words = f"Learning rate over steps: highest, {peak:.3g}, at step {step}; {rates[-1][1]:.3g} at step {rates[-1][0]}."
    return Panel("Learning rate", _chart([rates], _rate_form, words, (0.0,)).line(thin(rates), TRAINING))


def _chart(lines: Iterable[Sequence[Point]], form: Callable[[float], str], alt: str, include: Sequence[float] = ()) -> Chart:
    """Empty axes that hold all points; the steps end where the last line does."""
    points = [point for line in lines for point in line]
    steps = axis((step for step, _ in points), lambda step: f"{step:,.0f}", STEP)
    last = max(step for step, _ in points)
    first = min(step for step, _ in points)
    along = Axis(first, last, [step for step in steps.ticks if first <= step <= last] or [first], steps.form, STEP)
    return Chart(along, axis((value for _, value in points), form, include=include), alt)


def _tick_form(key: str) -> Callable[[float], str]:
    if key.endswith("accuracy"):
        return lambda value: f"{100 * value:.0f}%"
    return _rate_form if key == "learning_rate" else lambda value: f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def _include(key: str) -> Sequence[float]:
    """What must be seen beside the values: chance, and for what cannot be below it, nothing."""
    return {"accuracy": (0.5,), "eval_accuracy": (0.5,), "learning_rate": (0.0,)}.get(key, ())


def _rate_form(value: object) -> str:
    return f"{value:.2g}".replace("e-0", "e-").replace("-", "\N{MINUS SIGN}")


def _smoothed(points: Sequence[Point]) -> list[Point]:
    mean, _ = smooth([value for _, value in points])
    return [(step, float(value)) for (step, _), value in zip(points, mean)]


def _ends(points: Sequence[Point], form: Callable[[object], str]) -> str:
    (first, start), (last, end) = points[0], points[-1]
    return f"from {form(start)} at step {first} to {form(end)} at step {last}"


def _words(run: RunFiles, key: str, form: Callable[[object], str]) -> str:
    named = (("training", run.series(key)), ("validation", run.series(f"eval_{key}")))
    parts = (f"{name} {_ends(points, form)}" for name, points in named if points)
    return f"{key.capitalize()} over steps: {'; '.join(parts)}."


def _reward_words(run: RunFiles) -> str:
    deviations = [value for _, value in run.series("reward_std")]
    spread = f"; standard deviation from {number(deviations[0])} to {number(deviations[-1])}" if deviations else ""
    return f"Mean reward over steps: {_ends(run.series('reward_mean'), number)}{spread}."
