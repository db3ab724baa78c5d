"""The results of a grid -> ``report.html``: who wins and how sure one can be first, then everything it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from basereward.grid_page.charts import against_baseline, courses, effects, lines_over_numbers
from basereward.grid_page.columns import Columns, columns
from basereward.grid_page.crossed import heat_maps, mixes
from basereward.grid_page.words import chance, legend, missing, points, span, unjudged, verdict
from basereward.grid_results import GridResults
from basereward.grid_settings import setting_name
from basereward.grid_statistics.comparison import Compared
from basereward.problems import counted
from basereward.report.document import layout, page_script, tiles, write_document
from basereward.report.markup import DASH, Html, folded, join, notice, number, percent, table, tag
from basereward.report.panel import figure, figures

KIND = "basereward grid"
HOW = (
    "Thick: the 95% interval of a setting by itself. Thin: of all settings together. Both let seeds and prompts vary. Pale dots are single "
    "seeds. Green is better and orange worse than the baseline, once corrected for the number of comparisons; grey cannot be told from it."
)


def write_page(grid: GridResults, page: Path, *, categories: bool = False) -> None:
    """Writes the page.

    Args:
        categories: whether the table has columns for the benchmarks' categories.
    """
    tables = grid.tables()
    found = {"table": ("Table", _table(grid, columns(grid, categories=categories)))} if grid.names else {}
    for name, compared in tables.items():
        found[_anchor(name)] = (name, _benchmark(name, grid, compared))
    found["training"] = ("Training", _training(grid))
    if grid.rungs:
        found["halving"] = ("Stopped early", _halving(grid))
    found["runs"] = ("Runs", _runs(grid))
    order = {key: found[key] for key in sorted(found, key=lambda key: key in ("table", "training", "halving", "runs"))}
    write_document(page, KIND, grid.name, layout(KIND, grid.name, order, *_summary(grid)), script=page_script())


def _anchor(name: str) -> str:
    return f"on-{''.join(char if char.isalnum() else '-' for char in name)}"


def _summary(grid: GridResults) -> Iterator[Html]:
    """What a reader takes away in ten seconds."""
    tables = grid.tables()
    if not tables:
        yield notice(unjudged(grid))
    for name, found in tables.items():
        yield tag("p", *([tag("b", f"{name}: ")] if len(tables) > 1 else []), verdict(found), class_="lead")
    for found in list(tables.values())[:1]:
        yield tiles(*_tiles(grid, found))
    lacking = {run.name for run, _, _ in grid.missing()}
    if lacking:
        yield notice(f"{len(lacking)} of {counted(len(grid.runs), 'run')} have no results, or not all: see the list of runs.")


def _tiles(grid: GridResults, found: Compared) -> Iterator[tuple[str, object, str]]:
    of = found.settings[found.winner]
    scatter = f"deviation {100 * of.deviation:.1f} points over seeds" if of.deviation is not None else "one seed"
    yield "ahead", tag("span", found.winner, class_="words"), f"{percent(of.mean)}, {scatter}"
    if of.difference is not None:
        yield f"points on {found.baseline}", points(of.difference.value), f"95%: {span(of.difference.interval_all)}"
    running = sum(each.could_be_best for each in found.settings.values())
    yield "chance that it is the best", chance(of.chance_best), f"{running} of {len(found.settings)} can still be it"
    yield "judged on", f"{found.n:,}", f"{counted(found.num_groups, 'prompt')}, {counted(len(of.seed_means), 'seed')}"


def _table(grid: GridResults, shown: Columns) -> Html:
    rows = [[tag("strong", cell.text) if cell.is_strong else cell.text for cell in row] for row in shown.rows]
    numbers = range(1, len(shown.head))
    content = table(shown.head, rows, caption=f"Results of {grid.name}", numbers=numbers, sortable=True)
    notes = tag("ul", *(tag("li", note) for note in legend(grid)), class_="hint")
    files = tag("p", "The same table: table.csv (numbers, categories too), table.md, table.tex, beside this page.", class_="hint")
    return join([content, notes, files])


def _benchmark(name: str, grid: GridResults, found: Compared) -> Html:
    """Everything about one benchmark that can be drawn."""
    reasons = {
        run.setting: why for run, benchmark, why in grid.missing() if benchmark == name and run.setting not in found.settings
    }
    parts: list[Html | None] = []
    if len(found.settings) > 1:
        drawn = [
            against_baseline(name, found, reasons),
            effects(name, grid, found),
            *map(figure, lines_over_numbers(name, grid, found)),
        ]
        parts += [tag("div", *drawn, *heat_maps(name, grid, found), class_="charts"), tag("p", HOW, class_="hint")]
        parts.append(mixes(name, grid, found))
    categories = grid.categories(name)
    if categories:
        parts.append(folded("By category", _categories(name, categories)))
    return join(parts)


def _categories(name: str, found: dict[str, Compared]) -> Html:
    """Differences of each setting in each category."""
    settings = list(dict.fromkeys(setting for each in found.values() for setting in each.settings))
    head = ["setting", *(f"{category or '(none)'}, n = {each.n}" for category, each in found.items())]
    rows = [[setting, *(_category_cell(each, setting) for each in found.values())] for setting in settings]
    note = "Intervals hold for all settings of one category; nothing corrects for looking at several categories, so nothing is marked."
    content = table(head, rows, caption=f"{name} by category", numbers=range(1, len(head)), sortable=True)
    return join([content, tag("p", note, class_="hint")])


def _category_cell(found: Compared, setting: str) -> str:
    of = found.settings[setting]
    if of.difference is None:
        return percent(of.mean)
    return f"{percent(of.mean)}  {points(of.difference.value)} ({span(of.difference.interval_all)})"


def _training(grid: GridResults) -> Html:
    tables = list(grid.tables().values())
    charts = courses(grid, tables[0] if tables else None)
    if not charts:
        return tag("p", "Nothing was logged.", class_="empty")
    note = "Each line is the mean over a setting's seeds; at most eight settings, the {} and the baseline."
    return join([figures(charts), tag("p", note.format("best" if tables else "first"), class_="hint")])


def _halving(grid: GridResults) -> Html:
    """What successive halving stopped, by which numbers, and the rule."""
    head = ("rung", "step", "setting", "runs", "validation", "below the best", "stopped where more than", "")
    rows = []
    for each in grid.rungs:
        best = max((of["mean"] for of in each["settings"]), default=0.0)
        for of in each["settings"]:
            below, limit = points(of["mean"] - best), points(-of["limit"]) if of["limit"] else DASH
            place = (str(each["rung"] + 1), number(each["step"], 0), setting_name(of["setting"]), str(of["n"]))
            rows.append((*place, percent(of["mean"]), below, limit, "goes on" if of["goes_on"] else tag("strong", "stopped")))
    rules = dict.fromkeys(each["rule"] for each in grid.rungs)
    stopped = ", ".join(dict.fromkeys(run for each in grid.rungs for run in each["stopped"])) or "none"
    notes = (tag("p", "The rule: ", rule, ".", class_="hint") for rule in rules)
    content = table(head, rows, caption="Rungs", numbers=(1, 3, 4, 5, 6), sortable=True)
    return join(
        [content, *notes, tag("p", "Stopped runs: ", stopped, ". They have no results, and are in no comparison.", class_="hint")]
    )


def _runs(grid: GridResults) -> Html:
    """Every run with its accuracy on each benchmark, and why there is none."""
    lacking = {(run.name, benchmark) for run, benchmark, _ in grid.missing()}
    rows = []
    for run in grid.runs:
        cells = [
            DASH if (run.name, name) in lacking else percent(_accuracy(grid, run.setting, run.name, name)) for name in grid.names
        ]
        rows.append((run.name, run.setting, run.replicate or DASH, run.state, *cells))
    head = ("run", "setting", grid.replicate or "replicate", "state", *grid.names)
    content = table(head, rows, caption="Runs", numbers=range(4, len(head)), sortable=True)
    lines = missing(grid)
    none = "None." if grid.names else unjudged(grid)
    listed = tag("ul", *(tag("li", line) for line in lines)) if lines else tag("p", none, class_="empty")
    return join([content, tag("h3", "Missing"), listed])


def _accuracy(grid: GridResults, setting: str, run: str, benchmark: str) -> float:
    judged = grid.benchmarks[benchmark]
    return float(judged.right[setting][list(judged.runs[setting]).index(run)].mean())
