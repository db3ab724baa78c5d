"""What benchmarks say of a model -> the section about it: all of them at a glance, then each with its charts and its mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basereward.report.bars import Bar, bar_chart, interval_words
from basereward.report.best_of_n import curves
from basereward.report.diagnosed import diagnosed
from basereward.report.gallery_section import gallery_section
from basereward.report.markup import DASH, Html, folded, is_number, join, notice, number, percent, table, tag
from basereward.report.paired import against
from basereward.report.published_rows import published_rows
from basereward.report.run_files import Evaluation, RunFiles
from basereward.report.values import if_fits, short_version, values
from basereward.results_folder import EVAL

# Keys of results.json -> what stands above their column. Those that no row has are left out.
COLUMNS = {
    "n": "pairs",
    "accuracy": "accuracy",
    "interval_95": "95% interval",
    "ties": "ties",
    "wrong": "wrong",
    "failed": "failed",
    "blind_accuracy": "images removed",
    "shuffled_accuracy": "images of others",
}
COUNTS = ("n", "ties", "wrong", "failed")
THIS = "this model"
NOT_OURS = (
    "What follows lies in the run's folder, but was not reached with its final model as it is now. It is no result of this run, and no "
    "comparison of runs uses it."
)
HATCHED = "A hatched bar is not the benchmark's own result, for the reason beside it."
TEXT_ONLY = "(text_only)"  # in the note that `benchmarks.rows.notes_of` leaves
OTHER_VIEWS = {"blind_accuracy": "images removed", "shuffled_accuracy": "images of others"}


def evaluations(run: RunFiles) -> Html:
    """Every benchmark that was run on the final model; then, apart, what lies beside it and is of other weights."""
    parts = [_overview("All benchmarks", run.evaluations)] if len(run.evaluations) > 1 else []
    parts += map(evaluation, run.evaluations)
    if not run.evaluations:
        model = run.setting("run.dir") or run.name
        hint = tag("code", f"basereward evaluate model={model} benchmark=\N{HORIZONTAL ELLIPSIS}")
        where = "on the final model yet: " if run.of_others else "yet: "
        parts.append(tag("p", f"No benchmark was run {where}", hint, class_="empty"))
    if run.of_others:
        parts.append(tag("div", tag("h3", "Of other weights"), notice(NOT_OURS), class_="benchmark"))
        parts += [_overview("Results of other weights", run.of_others)] if len(run.of_others) > 1 else []
        parts += map(evaluation, run.of_others)
    return join(parts)


def _overview(title: str, found: Sequence[Evaluation]) -> Html:
    """All benchmarks beside one another; the folder tells those of one name apart."""
    rows = [(_told_apart(each, found), [share_bar(each.results)]) for each in found]
    note = "The line with two ends is the 95% interval; prompts are resampled as wholes. A tie earns nothing."
    if any(none_of_benchmark(each.results) for each in found):
        note = f"{note} {HATCHED}"
    return bar_chart(title, rows, note=note)


def _told_apart(found: Evaluation, among: Sequence[Evaluation]) -> Html:
    """The benchmark's name, and whose the results are; where they lie, too, if others have its name."""
    same = [each for each in among if each.name == found.name]
    more = [found.other_weights, found.folder if len(same) > 1 else ""]
    return join([found.name, *(tag("small", f" {words}") for words in more if words)])


def _unusual_folder(found: Evaluation) -> str:
    """Where the results lie, if it is not the folder of the benchmark's name."""
    return found.folder if found.folder not in ("", ".", f"{EVAL}/{found.name}") else ""


def evaluation(found: Evaluation) -> Html:
    """One benchmark: its table and charts, what is to be known about them, its own numbers, and its mistakes."""
    results, model = found.results, found.other_weights or THIS
    version = f"version {short_version(results['version'])}" if results.get("version") is not None else ""
    more = ", ".join(filter(None, (version, _unusual_folder(found), found.other_weights)))
    parts = [
        tag("h3", found.name, tag("small", f" {more}") if more else None),
        *map(notice, remarks(results)),
        *_categories(found),
        _baselines(results),
        *_own(results, model),
        if_fits(published_rows, {model: results}),
        if_fits(against, found),
        *diagnosed(found),
    ]
    if found.gallery:
        parts.append(folded(f"Mistakes on {found.name}, with their pictures", gallery_section(found.gallery, model)))
    return tag("div", *parts, class_="benchmark")


def share_bar(results: Mapping[str, Any], style: str = "s0") -> Bar:
    """Accuracy with its interval, and what other ways to answer reach."""
    marks = [(name, results[key]) for key, name in OTHER_VIEWS.items() if is_number(results.get(key))]
    baselines = results.get("baselines")
    if isinstance(baselines, Mapping) and is_number(baselines.get("longer_wins")):
        marks.append(("longer wins", baselines["longer_wins"]))
    note = f"of {results['n']:,}" if is_number(results.get("n")) else ""
    return Bar(results.get("accuracy"), results.get("interval_95"), style, note, marks, ", ".join(none_of_benchmark(results)))


def none_of_benchmark(results: Mapping[str, Any]) -> list[str]:
    """Why a number is not the benchmark's own result, in few words; `remarks` has it all in full."""
    why = ["generated pictures"] if results.get("placeholders") else []
    why += ["pictures left out"] if any(TEXT_ONLY in str(note) for note in results.get("notes") or ()) else []
    edition, there, whole = (results.get(key) for key in ("edition", "num_comparisons", "n_expected"))
    if edition in (None, "official"):
        return why
    if not str(edition).startswith("unknown"):
        return [*why, str(edition)]
    return [*why, f"{there:,} of {whole:,} items" if is_number(there) and is_number(whole) and there < whole else "other items"]


def remarks(results: Mapping[str, Any]) -> Iterator[str]:
    """What has to be known before these numbers are put beside others."""
    yield from results.get("notes") or ()
    edition = results.get("edition")
    if edition not in (None, "official"):
        yield f"These are not the rows of the official edition: {edition}."
    if results.get("placeholders"):
        yield f"{number(results['placeholders'], 0)} pictures were not at hand and were replaced by generated ones."
    if results.get("failed"):
        yield (
            f"{number(results['failed'], 0)} pairs could not be scored, and count as not right; "
            f"of those that were scored, {percent(results.get('accuracy_of_scored'))} are right."
        )
    overlap = results.get("overlap")
    if isinstance(overlap, Mapping) and overlap.get("items"):
        others = results.get("without_overlap") or {}
        rest = f" On the others: {percent(others['accuracy'])} of {number(others['n'], 0)} pairs." if others else ""
        yield (f"{len(overlap['items']):,} of its items were found in the training data (mode: {overlap.get('mode')}).{rest}")


def _categories(found: Evaluation) -> Iterator[Html]:
    """Bars and a table of the categories, and of all."""
    results = found.results
    by_name = {name or "(none)": of for name, of in (results.get("categories") or {}).items()}
    if len(by_name) > 1:
        rows = [(name, [share_bar(of)]) for name, of in by_name.items()]
        yield bar_chart(f"{found.name}: accuracy by category", [*rows, (tag("strong", "all"), [share_bar(results)])])
    keys = [key for key in COLUMNS if any(of.get(key) is not None for of in (results, *by_name.values()))]
    rows = [(name, *_cells(of, keys)) for name, of in by_name.items() if list(by_name) != ["(none)"]]
    head = ("category", *(COLUMNS[key] for key in keys))
    total = (tag("strong", "all"), *_cells(results, keys))
    caption = f"Results on {found.name}"
    yield table(head, rows, caption=caption, numbers=range(1, len(head)), total=total, sortable=True)


def _cells(results: Mapping[str, Any], keys: Sequence[str]) -> Iterator[object]:
    for key in keys:
        if key == "interval_95":
            yield interval_words(results.get(key))
        elif key in COUNTS:
            yield number(results.get(key), 0)
        else:
            yield tag("strong", percent(results.get(key))) if key == "accuracy" else percent(results.get(key))


def _baselines(results: Mapping[str, Any]) -> Html | None:
    baselines = results.get("baselines")
    if not isinstance(baselines, Mapping):
        return None
    longer, shorter = (percent(baselines.get(key)) for key in ("longer_wins", "shorter_wins"))
    words = f"A model that prefers the longer answer: {longer}; the shorter one: {shorter}. A tie earns nothing."
    if is_number(results.get("macro")) and len(results.get("categories") or ()) > 1:
        words += f" Mean of the categories: {percent(results['macro'])}."
    if results.get("verified_on") == "reference only":
        words += " The columns and counts of this benchmark were written from its description, not from its rows."
    return tag("p", words, class_="hint")


def _own(results: Mapping[str, Any], model: str) -> Iterator[Html | None]:
    """The benchmark's numbers by its own rules."""
    official = results.get("official")
    if isinstance(official, Mapping) and is_number(official.get("value")):
        rule = official.get("rule") or DASH
        yield tag(
            "p", "By the benchmark's own rule (", str(rule), "): ", tag("strong", percent(official["value"])), class_="official"
        )
    if isinstance(results.get("own"), Mapping):
        yield if_fits(curves, {model: results["own"]})
    for key, title in (
        ("own", "Numbers of its own"),
        ("legacy", "By a split that papers have used in place of the official one"),
    ):
        if isinstance(results.get(key), Mapping) and results[key]:
            yield folded(title, values(results[key], title))
