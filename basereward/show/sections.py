"""`Source`s -> the sections of the page, one function for each, in their order. Nothing here reads rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from basereward.problems import counted, in_words
from basereward.report.document import layout, tiles
from basereward.report.markup import DASH, Html, join, notice, number, percent, short, table, tag
from basereward.show.cards import card
from basereward.show.charts import chart, differences, numbers, paired_chart
from basereward.show.source import Source
from basereward.text_tables import HEADER, octaves, spread

NUM_REPEATED = 5
NUM_CATEGORIES = 12
EXAMPLE_CHARS = 300


def sections(sources: Sequence[Source], *, kind: str, title: str, unit: str, seed: int, remarks: Sequence[str] = ()) -> Html:
    """Everything between the page's head and its end.

    Args:
        unit: of lengths: "characters" or "tokens".
        seed: of the sample, which the page names.
        remarks: sentences that should not be overlooked.
    """
    found = {
        "shares": ("Shares", shares(sources)),
        "comparisons": ("Comparisons", comparisons(sources, seed)),
        "distributions": ("Distributions", distributions(sources, unit)),
        "left-out": ("Rows left out", left_out(sources)),
        "repeated": ("Repeated prompts", repeated(sources)),
    }
    return layout(kind, title, found, tiles(*headline(sources, unit)), *map(notice, remarks), *notices(sources))


def headline(sources: Sequence[Source], unit: str) -> list[tuple[str, object, str]]:
    """The numbers one looks for first."""
    rows, dropped = sum(s.rows.rows_read for s in sources), sum(s.rows.dropped.total() for s in sources)
    pairs, images = total(sources, "pairs"), total(sources, "images")
    measured = sum(total(sources, name) for name in ("longer", "shorter", "equal"))
    return [
        ("Comparisons", short(total(sources, "comparisons")), f"of {counted(len(sources), 'source')}"),
        ("Pairs", short(pairs), f"{counted(total(sources, 'ties'), 'tie')} beside them"),
        ("Pictures", short(images), "each use counted"),
        ("Preferred is longer", percent(total(sources, "longer") / measured if measured else None), f"of all pairs, in {unit}"),
        ("Rows left out", percent(dropped / rows if rows else None), f"{dropped:,} of {rows:,}"),
    ]


def total(sources: Sequence[Source], name: str) -> int:
    """A count over all sources."""
    return sum(source.statistics.totals[name] for source in sources)


def notices(sources: Sequence[Source]) -> Iterator[Html]:
    """What a reader has to know before believing the rest."""
    for source in sources:
        if source.rows.is_cut:
            first = f"the first {counted(source.rows.rows_read, 'row')}"
            yield notice(f"{source.name}: sample and numbers are those of {first} alone; scan=null reads all.")
        if not source.statistics.totals["comparisons"]:
            yield notice(f"{source.name}: no row is a comparison; see the rows left out.")


def shares(sources: Sequence[Source]) -> Html:
    """What each source brings."""
    comparisons, pairs = total(sources, "comparisons"), total(sources, "pairs")
    rows = []
    for source in sources:
        counts, read = source.statistics.totals, source.rows
        share = percent(counts["comparisons"] / comparisons if comparisons else None)
        pair_share = percent(counts["pairs"] / pairs if pairs else None)
        found = (f"{read.rows_read:,}", f"{counts['comparisons']:,}", share, f"{counts['pairs']:,}", pair_share)
        dropped = in_words(dict(read.dropped.most_common()))
        rows.append((source.name, *found, f"{counts['images']:,}", source.amount or DASH, dropped, source.licence))
    head = ("source", "rows read", "comparisons", "share", "pairs", "share", "pictures", "an epoch takes", "left out", "licence")
    return table(head, rows, caption="What each source brings", numbers=range(1, 7))


def comparisons(sources: Sequence[Source], seed: int) -> Html:
    """The sample of each source."""
    hint = f"Drawn with run.seed={seed}, spread over sources and categories. A is what the label likes best."
    parts = [tag("p", hint, class_="hint")]
    for source in sources:
        shown = f"{len(source.sample):,} of {source.statistics.totals['comparisons']:,}"
        cards = tag("div", *(card(item) for item in source.sample), class_="rows")
        parts.append(join([tag("h3", source.name, " ", tag("small", shown)), cards]))
    return join(parts)


def distributions(sources: Sequence[Source], unit: str) -> Html:
    """Charts and percentiles of each source."""
    parts = []
    for source in sources:
        if source.statistics.totals["comparisons"]:
            parts += [tag("h3", source.name), tag("div", *charts(source, unit), class_="charts"), percentiles(source, unit)]
    return join(parts) if parts else tag("p", "No comparisons.", class_="empty")


def charts(source: Source, unit: str) -> Iterator[Html]:
    """The charts for which there is anything to count."""
    found = source.statistics
    values = {name: found.values(name) for name in list(found.counts)}
    if "better" in values:
        sides = octaves(values["better"]), octaves(values["worse"])
        yield paired_chart(f"Responses of each pair, {unit}", *sides, ("preferred", "rejected"))
        yield chart(f"Preferred minus rejected, {unit}", differences(values["difference"]), note=length_bias(source))
    if "prompt" in values:
        yield chart(f"Prompts, {unit}", octaves(values["prompt"]))
    yield chart("Responses of a comparison", numbers(values["responses"]))
    yield chart("Turns of the user", numbers(values["turns"]))
    yield chart("Pictures of a comparison", numbers(values["images"]), note=unopened(source))
    if "pixels" in values:
        yield chart("Pixels of a picture, width x height", octaves(values["pixels"]))
    if "margin" in values:
        yield chart("Margins given for pairs", numbers(values["margin"]))
    if "score difference" in values:
        yield chart("Score of the better minus score of the worse", numbers(values["score difference"]))
    if categories := [(name or "(none)", count) for name, count in found.categories.most_common(NUM_CATEGORIES)]:
        more = len(found.categories) - len(categories)
        yield chart("Categories", categories, note=f"and {more:,} more" if more else "")


def length_bias(source: Source) -> str:
    """How often the longer response is the preferred one."""
    counts = source.statistics.totals
    pairs = counts["longer"] + counts["shorter"] + counts["equal"]
    parts = (f"{name} in {percent(counts[name] / pairs)} ({counts[name]:,})" for name in ("longer", "shorter"))
    return f"Of {counted(pairs, 'pair')}, the preferred response is {', '.join(parts)}, of equal length in {counts['equal']:,}."


def unopened(source: Source) -> str:
    """Pictures that are counted and have no size, by reason."""
    reasons = {name.removeprefix("picture: "): n for name, n in source.statistics.totals.items() if name.startswith("picture: ")}
    return f"Cannot be opened: {in_words(reasons)}." if reasons else ""


def percentiles(source: Source, unit: str) -> Html:
    """Exact percentiles of what is measured."""
    names = {
        "prompt": f"prompt, {unit}",
        "better": f"preferred response, {unit}",
        "worse": f"rejected response, {unit}",
        "difference": f"preferred minus rejected, {unit}",
        "width": "width of a picture, pixels",
        "height": "height of a picture, pixels",
    }
    counts = source.statistics.counts
    rows = [spread(title, source.statistics.values(name)) for name, title in names.items() if name in counts]
    return table(("", *HEADER), rows, caption=f"Percentiles of {source.name}", numbers=range(1, len(HEADER) + 1))


def left_out(sources: Sequence[Source]) -> Html:
    """Rows that are no comparison: how many, why, and the first few of each reason."""
    rows = []
    for source in sources:
        for reason, count in source.rows.dropped.most_common():
            examples = [tag("p", example[:EXAMPLE_CHARS], dir="auto") for example in source.rows.examples[reason]]
            share = percent(count / source.rows.rows_read)
            rows.append((source.name, reason, f"{count:,}", share, tag("div", *examples, class_="examples")))
    if not rows:
        return tag("p", "Every row that was read is a comparison.", class_="empty")
    head = ("source", "reason", "rows", "of its rows", "the first of them")
    return table(head, rows, caption="Rows left out", numbers=(2, 3))


def repeated(sources: Sequence[Source]) -> Html:
    """Prompts that stand in several comparisons of one source, or in several sources."""
    rows = []
    for source in sources:
        counts, found = source.statistics.totals["comparisons"], source.prompts
        share = percent(found.num_repeating / counts if counts else None)
        rows.append((source.name, f"{counts:,}", f"{len(found.counts):,}", f"{found.num_repeating:,}", share))
    head = ("source", "comparisons", "different prompts", "with a prompt that comes again", "share")
    hint = "A prompt is the same when its turns and pictures are. Training keeps all comparisons of a prompt on one side of the split."
    parts = [tag("p", hint, class_="hint"), table(head, rows, caption="Repeated prompts", numbers=range(1, 5))]
    parts += [*_across(sources), *_most_common(sources)]
    return join(parts)


def _across(sources: Sequence[Source]) -> Iterator[Html]:
    shared = ((a, b, a.prompts.num_shared(b.prompts)) for a, b in combinations(sources, 2))
    if rows := [(f"{a.name} and {b.name}", number(n, 0)) for a, b, n in shared if n]:
        yield tag("h3", "In two sources")
        yield table(("sources", "prompts in both"), rows, caption="Prompts in two sources", numbers=(1,))


def _most_common(sources: Sequence[Source]) -> Iterator[Html]:
    rows = [
        (source.name, tag("span", prompt.text, dir="auto"), f"{prompt.count:,}", ", ".join(prompt.places))
        for source in sources
        for prompt in source.prompts.most_common(NUM_REPEATED)
    ]
    if rows:
        yield tag("h3", "The most repeated")
        yield table(("source", "last turn", "comparisons", "again at"), rows, caption="The most repeated prompts", numbers=(2,))
