"""Several runs -> the sections of one page that compares them, one function for each. Nothing here reads files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basereward.report.altered import styles
from basereward.report.bars import Bar, bar_chart, interval_words
from basereward.report.best_of_n import curves
from basereward.report.bias import accuracy_by, calibration
from basereward.report.curve import overlaid, style_of
from basereward.report.diagnosed import SLICES
from basereward.report.document import layout
from basereward.report.evaluations import HATCHED, none_of_benchmark, remarks, share_bar
from basereward.report.markup import DASH, Html, is_number, join, notice, number, percent, short, table, tag
from basereward.report.mistakes import mistakes
from basereward.report.paired import against_first
from basereward.report.panel import figures
from basereward.report.published_rows import published_rows
from basereward.report.run_files import Evaluation, RunFiles
from basereward.report.values import cell, if_fits, short_version
from basereward.results_folder import EVAL

# Findings that are drawn for several runs.
SHARED = ("calibration", "slices", "probes")

Runs = Mapping[str, RunFiles]
# (benchmark, version) -> run -> its evaluation.
Judged = Mapping[tuple[str, str], Mapping[str, Evaluation]]


def sections(runs: Runs, kind: str, title: str) -> Html:
    """Everything between the page's head and its end."""
    judged = by_benchmark(runs)
    found = {
        "runs": ("Runs", run_table(runs)),
        "benchmarks": ("Benchmarks", benchmarks(runs, judged)),
        "training": ("Training", training(runs)),
        "mistakes": ("Who is right where", mistakes(judged)),
        "settings": ("Settings that differ", differences(runs)),
    }
    return layout(kind, title, found, *notices(runs, judged))


def by_benchmark(runs: Runs) -> Judged:
    """Evaluations that can be put beside one another: of one benchmark in one version, in the order in which they come up.

    Each run stands with results of its final model alone; where a run has several, with those in the folder of the benchmark's name.
    """
    found: dict[tuple[str, str], dict[str, Evaluation]] = {}
    for name, run in runs.items():
        for evaluation in run.evaluations:
            of = found.setdefault(_key(evaluation), {})
            if name not in of or evaluation.folder == f"{EVAL}/{evaluation.name}":
                of[name] = evaluation
    return found


def _key(evaluation: Evaluation) -> tuple[str, str]:
    return evaluation.name, str(evaluation.results.get("version"))


def notices(runs: Runs, judged: Judged) -> Iterator[Html]:
    """What a reader has to know before believing the rest."""
    for name, run in runs.items():
        if not run.is_finished and not run.is_results_alone:
            yield notice(f"{name} is not finished: it has no final model.")
        if run.of_others:
            left_out = ", ".join(f"{each.folder} ({each.other_weights})" for each in run.of_others)
            yield notice(f"{name}: left out, for it is no result of its final model as it is now: {left_out}.")
        for shown in (of[name] for of in judged.values() if name in of):
            same = [each.folder for each in run.evaluations if _key(each) == _key(shown)]
            if len(same) > 1:
                yield notice(f"{name}: of its results on {shown.name} in {', '.join(same)}, those in {shown.folder} are shown.")
    names = [benchmark for benchmark, _ in judged]
    for benchmark in sorted({name for name in names if names.count(name) > 1}):
        yield notice(f"{benchmark} was run in several versions; each stands by itself, since their numbers do not compare.")


def run_table(runs: Runs) -> Html:
    """What each run is."""
    head = ("run", "backbone", "head", "loss", "steps", "best validation", "parameters", "benchmarks")
    rows = []
    for place, (name, run) in enumerate(runs.items()):
        key = tag("span", tag("i", class_=f"key {style_of(place)}"), f" {name}")
        parts = (_target(run.setting("head")), _target(run.setting("loss")))
        best = percent(run.best[1]) if run.best else DASH
        row = (
            key,
            _backbone(run),
            *parts,
            number(run.num_steps or None, 0),
            best,
            short(run.num_parameters),
        )
        rows.append((*row, str(len(run.evaluations))))
    return table(head, rows, caption="Runs", numbers=range(4, 8), sortable=True)


def _backbone(run: RunFiles) -> Html:
    """What the backbone is: its name or what made it, and its kind; a folder in the run says nothing."""
    made, path = run.setting("backbone.create"), run.setting("backbone.path")
    kind = tag("small", f" {run.model_type}", class_="soft") if run.model_type else None
    return join([f"made by {made}" if made else path or DASH, kind])


def _target(node: object) -> str:
    return str(node.get("_target_", "")).rpartition(".")[2] or DASH if isinstance(node, Mapping) else DASH


def benchmarks(runs: Runs, judged: Judged) -> Html:
    """All benchmarks at a glance, then each by category."""
    if not judged:
        return tag("p", "No benchmark was run on any of them.", class_="empty")
    rows = [
        (_title(key, judged), [_bar(found.get(name), place) for place, name in enumerate(runs)]) for key, found in judged.items()
    ]
    note = "The line with two ends is the 95% interval; prompts are resampled as wholes. A tie earns nothing."
    if any(none_of_benchmark(each.results) for of in judged.values() for each in of.values()):
        note = f"{note} {HATCHED}"
    overview = bar_chart("All benchmarks", rows, legend=_legend(runs), note=note)
    return join([overview, *(_benchmark(_title(key, judged), found, runs) for key, found in judged.items())])


def _title(key: tuple[str, str], judged: Judged) -> str:
    name, version = key
    return f"{name} {short_version(version)}" if sum(other == name for other, _ in judged) > 1 else name


def _legend(runs: Runs) -> list[tuple[str, str]]:
    return [(style_of(place), name) for place, name in enumerate(runs)]


def _bar(evaluation: Evaluation | None, place: int) -> Bar:
    return share_bar(evaluation.results, style_of(place)) if evaluation else Bar(None, style=style_of(place))


def _benchmark(title: str, found: Mapping[str, Evaluation], runs: Runs) -> Html:
    """One benchmark: bars and a table by category, calibration and lengths of all runs."""
    parts = [tag("h3", title)]
    parts += _remarks(found)
    categories = dict.fromkeys(name for each in found.values() for name in each.results.get("categories") or {})
    if len(categories) > 1:
        rows = [
            (name or "(none)", [_category_bar(found.get(run), name, place) for place, run in enumerate(runs)])
            for name in categories
        ]
        parts.append(bar_chart(f"{title}: accuracy by category", rows, legend=_legend(runs)))
    parts.append(_accuracies(title, found, list(categories)))
    places = {name: place for place, name in enumerate(runs)}
    parts += [
        if_fits(published_rows, {name: each.results for name, each in found.items()}),
        against_first(title, found, places),
        if_fits(curves, {name: each.results.get("own") or {} for name, each in found.items()}, places),
    ]
    if len(found) == len(runs):  # a colour is the place of a run, so a chart without one of them would mislead
        parts += _findings({name: found[name] for name in runs})
    return tag("div", *parts, class_="benchmark")


def _findings(found: Mapping[str, Evaluation]) -> Iterator[Html | None]:
    """What all of them have of the charts of a single run, over each other."""
    of = {key: {name: each.findings[key] for name, each in found.items() if key in each.findings} for key in SHARED}
    whole = {key: numbers for key, numbers in of.items() if len(numbers) == len(found)}
    if "calibration" in whole:
        yield if_fits(_calibration, whole["calibration"])
    if "slices" in whole:
        title, note = SLICES["length"]
        yield if_fits(accuracy_by, "length", title, whole["slices"], note)
    if "probes" in whole:
        yield if_fits(styles, whole["probes"])


def _calibration(runs: Mapping[str, Mapping[str, Any]]) -> Html:
    """The curves, and their errors in a table."""
    keys = {"ece": "ECE", "brier": "Brier", "log_loss": "log loss", "temperature": "temperature"}
    rows = [(name, *(number(of[key]) for key in keys)) for name, of in runs.items()]
    content = table(("run", *keys.values()), rows, caption="Errors of confidence", numbers=range(1, 5), sortable=True)
    return join([figures([calibration(runs)]), content])


def _remarks(found: Mapping[str, Evaluation]) -> Iterator[Html]:
    """What has to be known of the results, once for all runs that it is true of."""
    told: dict[str, list[str]] = {}
    for name, each in found.items():
        for remark in remarks(each.results):
            told.setdefault(remark, []).append(name)
    return (notice(f"{', '.join(names)}: {remark}") for remark, names in told.items())


def _category_bar(evaluation: Evaluation | None, category: str, place: int) -> Bar:
    of = (evaluation.results.get("categories") or {}).get(category) if evaluation else None
    return share_bar(of, style_of(place)) if of else Bar(None, style=style_of(place))


def _accuracies(title: str, found: Mapping[str, Evaluation], categories: Sequence[str]) -> Html:
    """A row for each run; its accuracy on all pairs with the interval, by the benchmark's own rule, and in each category."""
    has_rule = any(isinstance(each.results.get("official"), Mapping) for each in found.values())
    head = (
        "run",
        "pairs",
        "all",
        "95% interval",
        *(["own rule"] if has_rule else []),
        *(name or "(none)" for name in categories),
    )
    rows = []
    for name, each in found.items():
        results = each.results
        own = [percent((results.get("official") or {}).get("value"))] if has_rule else []
        shares = ((results.get("categories") or {}).get(category) or {} for category in categories)
        total = tag("strong", percent(results.get("accuracy")))
        rows.append((name, number(results.get("n"), 0), total, interval_words(results.get("interval_95")), *own,
                     *(percent(of.get("accuracy")) for of in shares)))  # fmt: skip
    return table(head, rows, caption=f"{title} by run", numbers=range(1, len(head)), sortable=True)


def training(runs: Runs) -> Html:
    """The curves over each other."""
    charts = overlaid(runs)
    if not charts:
        return tag("p", "Nothing was logged.", class_="empty")
    note = "Training loss as a running mean; losses of different kinds do not compare."
    return join([figures(charts), tag("p", note, class_="hint")])


def differences(runs: Runs) -> Html:
    """Every setting that is not the same in all runs that have a config."""
    flat = {name: dict(_flat(run.config)) for name, run in runs.items() if run.config}
    if len(flat) < 2:
        return tag("p", "Fewer than two of them have a config.", class_="empty")
    keys = dict.fromkeys(key for found in flat.values() for key in found)
    differing = [key for key in keys if len({repr(found.get(key, "")) for found in flat.values()}) > 1]
    rows = [(key, *(cell(found[key]) if key in found else "" for found in flat.values())) for key in differing]
    if not rows:
        return tag("p", "None.", class_="empty")
    return table(("setting", *flat), rows, caption="Settings that differ")


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if is_number(value) or isinstance(value, bool) or value is None else str(value)
