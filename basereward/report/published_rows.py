"""Models of ours among the published rows of a benchmark -> a table for each rule by which rows were scored, and what makes them differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basereward.published import SPLITS, Block, Row, among_published, corrections, remarks
from basereward.report.markup import Html, folded, join, table, tag

# Nothing but its leading column can be compared, so it stands folded.
LEAST_COMPARABLE = "unstated"
# Source, table, address.
Source = tuple[str, str | None, str | None]


def published_rows(models: Mapping[str, Mapping[str, Any]]) -> Html | None:
    """None where nothing is published of the benchmark.

    Args:
        models: name -> content of results.json, all of one benchmark.
    """
    blocks = among_published(models)
    if not blocks:
        return None
    sources = {key: place for place, key in enumerate(dict.fromkeys(map(_source, _rows(blocks))), 1)}
    tables = (_block(block, sources) for block in blocks)
    listed = tag("ol", *(tag("li", _listed(*key)) for key in sources), class_="notes")
    notes = join([tag("h4", "Sources"), listed, *_single(blocks)])
    return join([tag("h4", "Among published results"), *tables, *_notes(blocks, models), folded("Sources and notes", notes)])


def _rows(blocks: Sequence[Block]) -> Iterator[Row]:
    return (line.row for block in blocks for line in block.lines if line.row)


def _source(row: Row) -> Source:
    return row.source, row.table, row.url


def _listed(source: str, place: str | None, url: str | None) -> Html:
    """A source; its link is one that nothing follows by itself."""
    name = tag("a", source, href=url, rel="noreferrer") if url else tag("span", source)
    return join([name, f": {place}" if place else None])


def _block(block: Block, sources: Mapping[Source, int]) -> Html:
    """One table; ours are set off."""
    title = f"Published rows, {SPLITS[block.split]}"
    head = ("model", *block.columns, "source")
    rows = [(*line.cells, str(sources[_source(line.row)]) if line.row else "") for line in block.lines]
    marked = [place for place, line in enumerate(block.lines) if line.row is None]
    content = table(head, rows, caption=title, numbers=range(1, len(head)), marked=marked, sortable=True)
    if block.split == LEAST_COMPARABLE:
        return folded(title, content)
    return join([tag("p", f"{title}:", class_="hint"), content])


def _notes(blocks: Sequence[Block], models: Mapping[str, Mapping[str, Any]]) -> Iterator[Html]:
    """What the marks mean, once for all models that it is true of."""
    told: dict[str, list[str]] = {}
    for name, numbers in models.items():
        for remark in remarks(blocks, numbers) if numbers.get("edition") is not None else ():
            told.setdefault(remark, []).append(name)
    lines = [remark if len(names) == len(models) else f"{', '.join(names)}: {remark}" for remark, names in told.items()]
    lines += [f"* {names}: {why}" for names, why in corrections(blocks)]
    yield tag("ul", *(tag("li", line) for line in lines), class_="notes")


def _single(blocks: Sequence[Block]) -> Iterator[Html]:
    """The figures as printed of corrected rows, and what is known of single rows."""
    rows = [row for row in _rows(blocks) if row.correction or row.note]
    if rows:
        found = [(row.model, "; ".join(filter(None, (_as_printed(row), row.note)))) for row in rows]
        yield table(("model", "note"), found, caption="Notes on published rows")


def _as_printed(row: Row) -> str:
    """What the source has in the place of corrected figures."""
    figures = ", ".join(f"{name} {row.values[name]:.2f}" for name in row.correction.get("values", {}))
    return f"printed: {figures}" if figures else ""
