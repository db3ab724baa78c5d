"""Metrics of a run -> charts: loss, accuracy, rewards and learning rate over steps, for the page and as training_curve.png."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from basereward.report.markup import number, percent
from basereward.report.run_files import RunFiles

# From so many log lines on, training is drawn as a running mean over its own pale line.
SMOOTH_FROM = 40

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Theme:
    """Colours of a chart; the two lines differ in brightness as well as in hue."""

    text: str
    grid: str
    train: str
    val: str
    background: str = "none"


LIGHT = Theme(text="#4b5563", grid="#d9dde3", train="#5b8def", val="#c2410c")
DARK = Theme(text="#aab2bf", grid="#333a45", train="#6ea0ff", val="#ffa657")
PAPER = Theme(text=LIGHT.text, grid=LIGHT.grid, train=LIGHT.train, val=LIGHT.val, background="white")


@dataclass(frozen=True)
class Panel:
    """One chart: what it shows in words, and how it is drawn on matplotlib axes."""

    title: str
    alt: str
    draw: Callable[[Any, Theme], None]


def panels(run: RunFiles) -> list[Panel]:
    """The charts for which the run logged anything."""
    found = []
    if run.series("loss") or run.series("eval_loss"):
        found.append(Panel("Loss", _words(run, "loss", number), lambda axes, theme: _two_lines(axes, theme, run, "loss")))
    if run.series("accuracy") or run.series("eval_accuracy"):
        found.append(Panel("Accuracy", _words(run, "accuracy", percent), lambda axes, theme: _accuracy(axes, theme, run)))
    if run.series("reward_mean"):
        title = "Reward, mean \N{PLUS-MINUS SIGN} deviation"
        found.append(Panel(title, _reward_words(run), lambda axes, theme: _rewards(axes, theme, run)))
    if run.series("learning_rate"):
        found.append(Panel("Learning rate", _rate_words(run), lambda axes, theme: _rate(axes, theme, run)))
    return found


def draw(charts: Sequence[Panel], theme: Theme, *, columns: int = 1) -> bytes | None:
    """Charts side by side as one PNG; None, with one log line, where matplotlib is absent."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        logger.info("matplotlib is not installed: the report has no training curve (pip install matplotlib)")
        return None
    rows = -(-len(charts) // columns)
    figure = Figure(figsize=(4.6 * columns, 2.9 * rows), dpi=160, layout="constrained", facecolor=theme.background)
    FigureCanvasAgg(figure)
    for place, chart in enumerate(charts, start=1):
        axes = figure.add_subplot(rows, columns, place)
        _dress(axes, theme, chart.title if columns > 1 else None)
        chart.draw(axes, theme)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, labelcolor=theme.text, fontsize=9, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def smooth(values: Sequence[float]) -> tuple[np.ndarray, int]:
    """(centred running mean, its width in log lines): a thirtieth of the run, shorter at both ends."""
    array = np.asarray(values, dtype=np.float64)
    width = max(1, len(array) // 30) if len(array) >= SMOOTH_FROM else 1
    width += (width + 1) % 2
    kernel = np.ones(width)
    return np.convolve(array, kernel, "same") / np.convolve(np.ones_like(array), kernel, "same"), width


def _two_lines(axes: Any, theme: Theme, run: RunFiles, key: str) -> None:
    """Training as a line, validation as a line with a dot for each validation."""
    if points := run.series(key):
        steps, values = zip(*points)
        mean, width = smooth(values)
        if width > 1:
            axes.plot(steps, values, color=theme.train, linewidth=0.7, alpha=0.35)
        axes.plot(steps, mean, color=theme.train, linewidth=1.6, label="training")
    if points := run.series(f"eval_{key}"):
        axes.plot(*zip(*points), color=theme.val, linewidth=1.6, marker="o", markersize=3.5, label="validation")


def _accuracy(axes: Any, theme: Theme, run: RunFiles) -> None:
    axes.axhline(0.5, color=theme.text, linewidth=0.8, linestyle=(0, (2, 3)))
    _two_lines(axes, theme, run, "accuracy")
    if run.best:
        axes.plot(*run.best, marker="o", markersize=9, markerfacecolor="none", markeredgecolor=theme.val, markeredgewidth=1.4)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")


def _rewards(axes: Any, theme: Theme, run: RunFiles) -> None:
    steps, mean = zip(*run.series("reward_mean"))
    deviation = dict(run.series("reward_std"))
    spread = np.array([deviation.get(step, 0.0) for step in steps])
    axes.fill_between(steps, mean - spread, mean + spread, color=theme.train, alpha=0.22, linewidth=0)
    axes.plot(steps, mean, color=theme.train, linewidth=1.6, label="training")
    if points := run.series("eval_reward_mean"):
        axes.plot(*zip(*points), color=theme.val, linewidth=1.6, marker="o", markersize=3.5, label="validation")


def _rate(axes: Any, theme: Theme, run: RunFiles) -> None:
    axes.plot(*zip(*run.series("learning_rate")), color=theme.train, linewidth=1.6)
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    axes.yaxis.get_offset_text().set_color(theme.text)


def _dress(axes: Any, theme: Theme, title: str | None) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_facecolor(theme.background)
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(theme.grid)
    axes.tick_params(colors=theme.text, labelsize=9, length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("step", color=theme.text, fontsize=9)
    if title:
        axes.set_title(title, color=theme.text, fontsize=11, fontweight="bold", loc="left", pad=24)


def _words(run: RunFiles, key: str, form: Callable[[object], str]) -> str:
    parts = []
    for name, points in (("training", run.series(key)), ("validation", run.series(f"eval_{key}"))):
        if points:
            (first, start), (last, end) = points[0], points[-1]
            parts.append(f"{name} from {form(start)} at step {first} to {form(end)} at step {last}")
    return f"{key.capitalize()} over steps: {'; '.join(parts)}."


def _reward_words(run: RunFiles) -> str:
    (first, start), (last, end) = run.series("reward_mean")[0], run.series("reward_mean")[-1]
    deviations = [value for _, value in run.series("reward_std")]
    spread = f"; standard deviation from {number(deviations[0])} to {number(deviations[-1])}" if deviations else ""
    return f"Mean reward over steps: from {number(start)} at step {first} to {number(end)} at step {last}{spread}."


def _rate_words(run: RunFiles) -> str:
    rates = run.series("learning_rate")
    step, peak = max(rates, key=lambda point: point[1])
    return f"Learning rate over steps: highest, {peak:.3g}, at step {step}; {rates[-1][1]:.3g} at step {rates[-1][0]}."
