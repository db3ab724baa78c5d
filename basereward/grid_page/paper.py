"""Published tables -> a Markdown page with plots that says which of their conclusions hold: the unpaired path of a grid's report.

Only percentages are published: no items and no seeds. So differences are those of independent shares, beside how far the two may differ on
single items, and how much a seed may change, for the conclusion still to hold.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from basereward.grid_page.charts import tick
from basereward.grid_page.files import as_markdown_row, escaped
from basereward.grid_page.forest import Line, forest, forest_file
from basereward.grid_page.words import p_value, points, span
from basereward.grid_statistics.proportions import Count, Margins, count_of, margins, smallest_difference
from basereward.metrics import wilson_interval
from basereward.published import Published, Row, read_published
from basereward.runtime import write_bytes

LINE = 140
TITLE = "# Which conclusions of published tables hold"
COMMAND = "basereward report published=ablations out=docs/paper_tables.md"
ALIKE_TO = 0.02
"""Smaller differences than this are no difference that anybody would act on, in a claim that two are alike."""
# Accuracy, and share of items on which two runs differ, of the table about sizes.
TYPICAL, DIFFER, SEED = 0.8, 0.2, 0.01
SIZES = (25, 32, 34, 37, 42, 46, 50, 170, 183, 318, 749, 1250, 2985, 5211)
CATEGORIES = ("mcq", "long", "short", "safety", "video", "acc", "acc_plus")
OF_CATEGORIES = ("Claude-3.7-Sonnet", "R1-Reward 7B", "BaseReward Qwen2-VL-7B", "BaseReward Qwen2.5-VL-7B", "BaseReward Ensemble")


@dataclass(frozen=True)
class Pair:
    """One comparison of a claim in one column."""

    better: Row
    than: Row
    column: str
    counts: tuple[Count | None, Count | None]
    comparisons: int
    is_alike: bool = False

    @cached_property
    def margins(self) -> Margins | None:
        """None where one of the two is no count."""
        one, other = self.counts
        return margins(one, other, comparisons=self.comparisons) if one and other else None

    @property
    def is_open(self) -> bool:
        """Whether items alone could explain what the claim says."""
        low, high = self.margins.interval_all
        return max(-low, high) > ALIKE_TO if self.is_alike else low <= 0


def write_paper(name: str, out: Path) -> list[Path]:
    """Writes the page and its plots, which lie in a folder beside it that is called like it; returns all paths."""
    published = read_published(name)
    plots: dict[str, bytes] = {}
    parts = [_intro(name)]
    for table, claims in published.claims.items():
        parts += _table(published, table, claims, f"{out.stem}/", plots)
    parts += [_categories(), _sizes()]
    out.parent.mkdir(parents=True, exist_ok=True)
    (out.parent / out.stem).mkdir(exist_ok=True)
    for file, content in plots.items():
        write_bytes(out.parent / file, content)
    write_bytes(out, ("\n\n".join(parts) + "\n").encode("utf-8"))
    return [out, *(out.parent / file for file in plots)]


def _intro(name: str) -> str:
    return f"""{TITLE}

Made by `{COMMAND}` from
[the published figures](../basereward/benchmarks/published/{name}.yaml). What the columns mean, and where the figures contradict themselves:
[comparing.md](comparing.md).

A published table has percentages: no items, so that two rows can only be compared as if each had been judged on items of its own, and no
seeds, so that what another seed would have given is not known. Of each comparison stands here

- the difference in points with its 95% interval (Newcombe, of two Wilson intervals), and with the level shared by all comparisons of the
  column (Bonferroni), from which the conclusions are drawn;
- **on how many items**: both rows were judged on the same items, so the unpaired interval is too wide. The margins leave open on how many
  items the two differ; the exact McNemar test holds as long as it is not more than this share. Two runs of one recipe often differ on a
  tenth to a quarter of the items. "Never" is a difference that no pairing makes more than chance; "always" one that every pairing does;
- **what a seed may change**: the deviation over seeds above which the difference of two single runs is no more than seeds and items explain
  (unpaired). The paper repeats nothing; one model of it stands in three tables with 92.9%, 89.4% and 93.5% of 170 pairs, a
  deviation of 2.2 points, although the training data of the third are not stated.

A figure that is no whole number of the pairs or prompts is shown as such and is in no conclusion. Where it is one of fewer, the
difference is given as if those were other items. Text benchmarks are means over sections, and VL-RB of Table 6 may be a mean over three
categories; both are taken as plain shares of all pairs, which changes an interval little."""


def _table(
    published: Published, table: str, claims: Sequence[Mapping[str, object]], folder: str, plots: dict[str, bytes]
) -> Iterator[str]:
    """One published table: a verdict on each claim, and its comparisons, column by column."""
    pairs = [list(_pairs(published, table, claim)) for claim in claims]
    counted = {column: sum(pair.column == column for of in pairs for pair in of) for column in published.columns}
    pairs = [[Pair(**{**vars(pair), "comparisons": counted[pair.column]}) for pair in of] for of in pairs]
    yield f"## {table}"
    for claim, of in zip(claims, pairs):
        says = str(claim["says"])
        yield textwrap.fill(f"**{says[0].upper()}{says[1:]}.** {' '.join(_verdicts(published, of))}", LINE)
    for place, (claim, of) in enumerate(zip(claims, pairs)):
        for column in claim["columns"]:
            here = [pair for pair in of if pair.column == column]
            title = published.columns[column]["title"]
            file = f"{folder}{table.split(',')[0].lower().replace(' ', '_')}_{place + 1}_{column}.svg"
            parts = [f"### {title}: {claim['says']}", _rows(here, published)]
            if any(pair.margins for pair in here):
                plots[file] = _plot(f"{table.split(',')[0]}: {title}", here)
                parts.insert(1, f"![{title}: {claim['says']}]({file})")
            yield "\n\n".join(parts)


def _pairs(published: Published, table: str, claim: Mapping[str, object]) -> Iterator[Pair]:
    rows = {row.model: row for row in published.rows if row.table == table}
    combinations = (
        list(zip(claim["better"], claim["than"]))
        if claim.get("in_step")
        else [(better, than) for better in claim["better"] for than in claim["than"]]
    )
    for column in claim["columns"]:
        for better, than in combinations:
            counts = tuple(_count(published, rows[model], column) for model in (better, than))
            yield Pair(rows[better], rows[than], column, counts, 1, bool(claim.get("alike")))


def _count(published: Published, row: Row, column: str) -> Count | None:
    """(right, all) behind a figure; None where it is no count of all."""
    n = published.sizes[row.split][column]
    k = count_of(row.corrected[column], n)
    return (k, n) if k is not None else None


def _verdicts(published: Published, pairs: Sequence[Pair]) -> Iterator[str]:
    """A sentence for each column."""
    for column in dict.fromkeys(pair.column for pair in pairs):
        here = [pair for pair in pairs if pair.column == column]
        known = [pair for pair in here if pair.margins]
        told = [pair for pair in known if not pair.is_open]
        n = published.sizes[here[0].better.split][column]
        where = f"On {published.columns[column]['title']} ({n:,})"
        lost = (
            f"; {len(here) - len(known)} of {len(here)} cannot be checked, a figure being no count"
            if len(known) < len(here)
            else ""
        )
        if not known:
            yield f"{where} nothing can be checked: the figures are no counts."
        elif here[0].is_alike:
            low, high = known[0].margins.interval_all
            sure = "is shown" if told else "is not shown"
            yield f"{where} it {sure}: anything from {points(low)} to {points(high)} points is compatible{lost}."
        elif told:
            seeds = min(pair.margins.seeds or 0.0 for pair in told)
            names = (
                "in all comparisons" if len(told) == len(here) else f"in {len(told)} of {len(here)} comparisons ({_listed(told)})"
            )
            first = "it" if len(told) == 1 else "the first of them"
            undone = f"a deviation over seeds of more than {100 * seeds:.1f} points would undo {first}"
            yield f"{where} it holds {names} beyond the noise of the items; {undone}{lost}."
        else:
            yield f"{where} items alone explain every difference{lost}."


def _listed(pairs: Sequence[Pair]) -> str:
    """Over whom, where one row is better than several; else who over whom."""
    if len({pair.better.model for pair in pairs}) == 1 and len(pairs) > 1:
        return f"over {'; '.join(pair.than.model for pair in pairs)}"
    return "; ".join(map(_names, pairs))


def _names(pair: Pair) -> str:
    return f"{pair.better.model} over {pair.than.model}"


def _rows(pairs: Sequence[Pair], published: Published) -> str:
    """The comparisons of one column as a table."""
    head = ("better", "than", "printed", "points", "95%", "95%, all", "p", "differ on at most", "a seed at most")
    lines = [as_markdown_row(head), as_markdown_row(["---"] * 2 + ["--:"] * 7)]
    for pair in pairs:
        printed = f"{_printed(pair.better, pair.column)} / {_printed(pair.than, pair.column)}"
        of = pair.margins
        if of is None:
            cells = (printed, _why(published, pair), "", "", "", "", "")
        else:
            seed = f"{100 * of.seeds:.1f}" if of.seeds is not None else "\N{EN DASH}"
            cells = (printed, points(of.difference), span(of.interval), span(of.interval_all), p_value(of.p), _differ(of), seed)
        lines.append(as_markdown_row([escaped(pair.better.model), escaped(pair.than.model), *map(escaped, cells)], raw=True))
    return "\n".join(lines)


def _printed(row: Row, column: str) -> str:
    """As published, with a correction beside it."""
    value = row.values[column]
    return f"{value} ({row.corrected[column]} corrected)" if row.corrected[column] != value else str(value)


def _why(published: Published, pair: Pair) -> str:
    """Which figure is no count; and the difference by the smaller number that it is a count of."""
    counts, found = list(pair.counts), []
    for place, row in enumerate((pair.better, pair.than)):
        if counts[place] is None:
            fits = row.fits.get(pair.column)
            of = f", is one of {fits}" if fits else ""
            found.append(f"{row.values[pair.column]} is no count of {published.sizes[row.split][pair.column]:,}{of}")
            k = count_of(row.corrected[pair.column], fits) if fits else None
            counts[place] = (k, fits) if k is not None else None
    if None not in counts:
        of = margins(*counts, comparisons=pair.comparisons)
        found.append(f"as that: {points(of.difference)} ({span(of.interval_all)})")
    return "; ".join(found)


def _differ(of: Margins) -> str:
    return "never" if of.discordant is None else "always" if of.discordant == 1 else f"{100 * of.discordant:.0f}%"


def _plot(title: str, pairs: Sequence[Pair]) -> bytes:
    """A row for each comparison."""
    lines = []
    for pair in pairs:
        of, name = pair.margins, f"over {pair.than.model}" if len({each.better.model for each in pairs}) == 1 else _names(pair)
        if of is None:
            lines.append(Line(name, None, "no count"))
            continue
        style = "s7" if pair.is_open else "s2"
        lines.append(Line(name, of.difference, f"{points(of.difference)}", of.interval, of.interval_all, style))
    start = f"{pairs[0].better.model}, " if len({each.better.model for each in pairs}) == 1 else ""
    words = "; ".join(f"{line.name}: {line.words}" for line in lines)
    return forest_file(forest(lines, f"{title}. {words}", form=tick, name=f"{start}points"), title)


def _categories() -> str:
    """Figures of the categories of a small benchmark with their own intervals."""
    published = read_published("mm_rlhf_rewardbench")
    sizes = published.sizes["official"]
    head = ["model", *(f"{published.columns[key]['title']} ({sizes[key]})" for key in CATEGORIES)]
    lines = [as_markdown_row(head), as_markdown_row(["---"] + ["--:"] * len(CATEGORIES))]
    for model in OF_CATEGORIES:
        (row,) = [row for row in published.rows if row.model == model and str(row.table).startswith("Table 8")]
        lines.append(as_markdown_row([escaped(model), *(_category(row, key, sizes[key]) for key in CATEGORIES)], raw=True))
    low, high = wilson_interval(TYPICAL, sizes["mcq"])
    rows = {row.model: row for row in published.rows if str(row.table).startswith("Table 8")}
    said = [_between(rows, *pair, sizes) for pair in ((OF_CATEGORIES[3], OF_CATEGORIES[2]), (OF_CATEGORIES[3], OF_CATEGORIES[1]))]
    return f"""## Table 8, categories of 25 to 42 pairs

Each figure with its 95% interval (Wilson), on MM-RLHF-RewardBench; `?` is a figure that is no count of so many.

{chr(10).join(lines)}

With {sizes["mcq"]} pairs an interval is {100 * (high - low):.0f} points wide at {100 * TYPICAL:.0f}%. {chr(10).join(said)}"""


def _between(rows: Mapping[str, Row], better: str, than: str, sizes: Mapping[str, int]) -> str:
    """Two rows on all pairs and on all prompts, in a sentence."""
    parts = []
    for key, what in (("acc", "pairs"), ("acc_plus", "prompts")):
        one, other = ((count_of(rows[name].values[key], sizes[key], 2), sizes[key]) for name in (better, than))
        of = margins(one, other)
        parts.append(f"{one[0]} and {other[0]} of {one[1]} {what}, {points(of.difference)} ({span(of.interval)})")
    return f"{better} against {than}: {'; '.join(parts)}."


def _category(row: Row, key: str, n: int) -> str:
    k = None if key in row.doubtful else count_of(row.values[key], n, 2)
    if k is None:
        return f"{row.values[key]} ?"
    low, high = wilson_interval(k / n, n)
    return f"{row.values[key]} ({100 * low:.0f} to {100 * high:.0f})"


def _sizes() -> str:
    """What a benchmark of so many items can tell."""
    head = ("items", "an accuracy of 80%", "two papers", "two runs here", "with one seed each", "with three seeds each")
    lines = [as_markdown_row(head), as_markdown_row(["--:"] * 6)]
    for n in SIZES:
        low, high = wilson_interval(TYPICAL, n)
        found = (
            smallest_difference(TYPICAL, n),
            smallest_difference(TYPICAL, n, discordant=DIFFER),
            smallest_difference(TYPICAL, n, discordant=DIFFER, seed=SEED),
            smallest_difference(TYPICAL, n, discordant=DIFFER, seed=SEED, seeds=3),
        )
        lines.append(
            as_markdown_row([f"{n:,}", f"{100 * low:.1f} to {100 * high:.1f}", *(f"{100 * each:.1f}" for each in found)])
        )
    single, three = (100 * smallest_difference(TYPICAL, 10**9, seed=SEED, seeds=seeds) for seeds in (1, 3))
    return f"""## What a benchmark of so many items can tell

The interval of an accuracy of 80%, and the smallest true difference in points that is found four times out of five (two-sided 5%, one
comparison): between two papers, whose items are not paired; between two runs on the same items that differ on a fifth of them; and the
same when a seed changes the accuracy by a deviation of one point. A deviation of one point alone, however many the items, hides
differences below {single:.1f} points with one seed and {three:.1f} with three.

{chr(10).join(lines)}"""
