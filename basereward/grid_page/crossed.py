"""Two crossed factors -> a heat map; what each setting's data consist of -> bars of shares."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping

from basereward.grid_page.charts import key_of
from basereward.grid_page.columns import NONE
from basereward.grid_results import GridResults
from basereward.grid_settings import short_keys
from basereward.grid_statistics.comparison import Compared
from basereward.report.curve import style_of
from basereward.report.markup import Html, percent, tag

# More factors would make a map for each two of them.
MAX_FACTORS = 3
TARGET = "_target_"
MANIFEST = "data_manifest.json"


def heat_maps(name: str, grid: GridResults, found: Compared) -> Iterator[Html]:
    """A map for each two factors of which each has several values, and for two arguments of a part that is a factor by itself."""
    crossed = [key for key, values in grid.factors.items() if len(values) > 1]
    short = short_keys(list(grid.factors))
    if 2 <= len(crossed) <= MAX_FACTORS:
        for one, other in itertools.combinations(crossed, 2):
            if _in_step(grid, one, other):
                continue
            yield _map(name, short[one], short[other], found, {each: grid.settings[each] for each in found.settings}, one, other)
    if len(crossed) == 1:
        arguments = {each: _arguments(grid, each, crossed[0]) for each in found.settings}
        varying = [
            key
            for key in dict.fromkeys(key for of in arguments.values() for key in of)
            if len({of[key] for of in arguments.values() if key in of}) > 1
        ]
        both = {each: of for each, of in arguments.items() if set(varying) <= set(of)}
        if len(varying) == 2 and len(both) > 3:
            yield _map(name, varying[0], varying[1], found, both, *varying)


def _in_step(grid: GridResults, one: str, other: str) -> bool:
    """Whether two factors change together, which no map shows."""
    both = {(of.get(one), of.get(other)) for of in grid.settings.values()}
    return len(both) <= max(len(grid.factors[one]), len(grid.factors[other]))


def _arguments(grid: GridResults, setting: str, key: str) -> dict[str, str]:
    """What a part of the model was made with, by the config of a run; nothing where the factor is no part."""
    import yaml

    for run in grid.runs_of(setting):
        file = run.folder / "config.yaml"
        if file.is_file():
            node = yaml.safe_load(file.read_text(encoding="utf-8")).get(key)
            given = node.items() if isinstance(node, Mapping) and TARGET in node else ()
            return {name: str(value) for name, value in given if name != TARGET}
    return {}


def _map(
    name: str, title: str, across: str, found: Compared, settings: Mapping[str, Mapping[str, str]], one: str, other: str
) -> Html:
    """Rows are values of one factor, columns of the other; a cell is the mean of the settings that have both."""
    values = [list(dict.fromkeys(of[key] for of in settings.values() if key in of)) for key in (one, other)]
    cells = {}
    for row, column in itertools.product(*values):
        here = [each for each, of in settings.items() if (of.get(one), of.get(other)) == (row, column)]
        if here:
            mean = sum(found.settings[each].mean for each in here) / len(here)
            cells[row, column] = mean, any(found.settings[each].could_be_best for each in here)
    low, high = min(mean for mean, _ in cells.values()), max(mean for mean, _ in cells.values())

    def cell(key: tuple[str, str]) -> Html:
        if key not in cells:
            return tag("td", NONE, class_="num")
        mean, open_ = cells[key]
        shade = 0.0 if high == low else 60 * (mean - low) / (high - low)
        text = tag("strong", percent(mean)) if mean == high else percent(mean)
        return tag("td", text, " \N{WHITE CIRCLE}" if open_ else "", class_="num heat", style=f"--shade:{shade:.0f}%")

    head = tag(
        "tr",
        tag("th", f"{title} \\ {across}", scope="col"),
        *(tag("th", value, class_="num", scope="col") for value in values[1]),
    )
    body = (tag("tr", tag("th", row, scope="row"), *(cell((row, column)) for column in values[1])) for row in values[0])
    caption = f"{name}: accuracy by {title} and {across}"
    drawn = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    note = "Darker is better; \N{WHITE CIRCLE} may be the best as far as seeds and items tell."
    scroll = tag("div", drawn, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return tag("figure", tag("figcaption", caption), scroll, tag("p", note, class_="hint"))


def mixes(name: str, grid: GridResults, found: Compared) -> Html | None:
    """What an epoch of each setting takes of each source, beside its accuracy; None where it is the same everywhere."""
    taken = {setting: _taken(grid, setting) for setting in found.settings}
    taken = {setting: of for setting, of in taken.items() if of}
    sources = list(dict.fromkeys(source for of in taken.values() for source in of))
    if len(sources) < 2 or len({tuple(of.get(source, 0.0) for source in sources) for of in taken.values()}) < 2:
        return None
    order = sorted(taken, key=lambda setting: -found.settings[setting].mean)
    items = []
    for setting in order:
        of = taken[setting]
        words = "; ".join(f"{source} {percent(of[source])}" for source in sources if of.get(source))
        parts = (
            tag(
                "i", class_=f"{style_of(place)}", style=f"width:{100 * of[source]:.2f}%", title=f"{source}: {percent(of[source])}"
            )
            for place, source in enumerate(sources)
            if of.get(source)
        )
        bar = tag("span", *parts, class_="mix", role="img", aria_label=words)
        value = tag("span", tag("b", percent(found.settings[setting].mean)), class_="value")
        items.append(
            tag("li", tag("span", setting, class_="bin"), tag("span", tag("span", bar, value, class_="lane"), class_="lanes"))
        )
    keys = tag("p", *(key_of(place, source) for place, source in enumerate(sources)), class_="legend")
    title = tag("figcaption", f"{name}: accuracy by what an epoch takes of each source")
    return tag("figure", title, keys, tag("ol", *items, class_="shares"), class_="wide")


def _taken(grid: GridResults, setting: str) -> dict[str, float]:
    """Source -> its share of the comparisons of an epoch, by the manifest of the setting's first run that has one."""
    for run in grid.runs_of(setting):
        try:
            mixture = json.loads((run.folder / MANIFEST).read_text(encoding="utf-8"))["mixture"]["sources"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        total = sum(of["comparisons"] for of in mixture.values())
        return {source: of["comparisons"] / total for source, of in mixture.items()} if total else {}
    return {}
