"""Published results as data, and our row among those that can be compared with it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from basereward.errors import ConfigError, near_matches
from basereward.text_tables import table as text_table

FOLDER = Path(__file__).parent / "benchmarks" / "published"
SPLITS = {
    "official": "scored by the benchmark's own rule",
    "legacy": "scored by the other rule that papers have used",
    "unstated": "scored by a rule that is not stated",
}
OURS = "> this model"
CHANCE = 2
# How the key of a category's share in results.json ends, beside which stands its count.
SHARE = ".accuracy"
# Three of 1,250 rows that a copy lacks make no other benchmark of it: they move a share by a quarter of a point at most.
NEAR = 0.01


@dataclass(frozen=True)
class Row:
    """One line of a published table; shares in percent."""

    model: str
    values: Mapping[str, float]
    """As printed."""
    source: str
    url: str | None
    table: str | None
    split: str
    kind: str = "results"
    """results: printed beside ours; ablation: data alone."""
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """(right, all) behind a share, where the arithmetic gives them."""
    correction: Mapping[str, Any] = field(default_factory=dict)
    """`values` in place of misprinted ones, and `why`."""
    doubtful: Sequence[str] = ()
    """Columns whose printed figure cannot be what it says, and nobody knows what it should be."""
    fits: Mapping[str, int] = field(default_factory=dict)
    """Column -> of how many pairs or prompts the figure is a count, where it is none of all."""
    note: str | None = None

    @property
    def corrected(self) -> dict[str, float]:
        """The values with the corrections in."""
        return {**self.values, **self.correction.get("values", {})}


@dataclass(frozen=True)
class Published:
    """What is published of one benchmark.

    Attributes:
        columns: name -> `title`, and by split which number of results.json stands beside it; where none is given, none does.
        sizes: split -> pairs or prompts behind a column.
        pairs_each: pairs of a prompt, where `sizes` are prompts and our counts are pairs.
        other_rows: editions whose categories are as large as the official one's, and hold other rows.
        rows: of all tables, in the file's order.
        claims: table -> what its source concludes: `says`, rows that are `better` than others, in which `columns`; `alike` where the claim
            is that there is no difference, `in_step` where the first is better than the first and so on.
    """

    columns: Mapping[str, Mapping[str, str]]
    sizes: Mapping[str, Mapping[str, int]]
    rows: Sequence[Row]
    claims: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    pairs_each: int = 1
    other_rows: Sequence[str] = ()


def names() -> list[str]:
    """The files of published results: those of benchmarks by the benchmark's name, and `ablations` and `policies` of the paper."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


@cache
def read_published(name: str) -> Published:
    """The published results of a benchmark.

    Raises:
        ConfigError: none are here.
    """
    if name not in names():
        raise ConfigError(f"published results: found none of {name!r}; {near_matches(name, names())}")
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    rows = [made_row(table, row) for table in content["tables"] for row in table["rows"]]
    claims = {table["table"]: table["claims"] for table in content["tables"] if "claims" in table}
    further = {key: content[key] for key in ("pairs_each", "other_rows") if key in content}
    return Published(content["columns"], content.get("sizes", {}), rows, claims, **further)


def made_row(table: Mapping[str, Any], row: Mapping[str, Any]) -> Row:
    """A row with what its table says of all its rows."""
    common = {key: value for key, value in table.items() if key not in ("rows", "note", "claims")}
    notes = [note for note in (row.get("note"), table.get("note")) if note]
    return Row(**common | dict(row) | {"note": "; ".join(notes) or None})


def ours(columns: Mapping[str, Mapping[str, str]], split: str, numbers: Mapping[str, Any]) -> dict[str, float]:
    """Our shares in percent, of those columns alone that can be compared with rows of this split."""
    found = {name: number_at(numbers, column[split]) for name, column in columns.items() if split in column}
    return {name: 100 * value for name, value in found.items() if value is not None}


def of_other_items(published: Published, split: str, numbers: Mapping[str, Any]) -> set[str]:
    """Columns in which our number is not over the items that the published ones are over.

    In the official edition there are none. In another one, a category is theirs where it has as many pairs, or nearly, and anything that is
    worked out from all items where as many items are there.
    """
    if numbers.get("edition") == "official":
        return set()
    if numbers.get("edition") in published.other_rows:
        return set(published.columns)
    return {name for name, column in published.columns.items() if not _is_whole(published, split, name, column, numbers)}


def _is_whole(published: Published, split: str, name: str, column: Mapping[str, str], numbers: Mapping[str, Any]) -> bool:
    """Whether our number in a column is over as many pairs, or items, as theirs."""
    key = column.get(split, "")
    if key.endswith(SHARE):
        size = published.sizes.get(split, {}).get(name, 0) * published.pairs_each
        return _is_near(number_at(numbers, key.removesuffix(SHARE) + ".n"), size)
    return _is_near(numbers.get("num_comparisons"), numbers.get("n_expected"))


def _is_near(found: float | None, expected: float | None) -> bool:
    return bool(found and expected) and abs(found - expected) <= NEAR * expected


def number_at(numbers: Mapping[str, Any], key: str) -> float | None:
    """The number at a dotted key of results.json; None where it is not there.

    >>> number_at({"legacy": {"macro": 0.5}}, "legacy.macro"), number_at({"legacy": None}, "legacy.macro")
    (0.5, None)
    """
    found: Any = numbers
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def distinct(rows: Iterable[Row]) -> list[Row]:
    """Without rows that quote a row before: the same figures in several columns, which chance does not give twice."""
    found: list[Row] = []
    for row in rows:
        if len(row.values) <= CHANCE or all(row.values != other.values for other in found):
            found.append(row)
    return found


@dataclass(frozen=True)
class Line:
    """One line of a table: the model, then a figure for each column, as written."""

    cells: Sequence[str]
    row: Row | None = None
    """None for a model of ours."""


@dataclass(frozen=True)
class Block:
    """Rows that were scored by one rule, best first by the leading column, and models of ours in their places."""

    split: str
    columns: Sequence[str]
    """Their titles, behind that of the model."""
    lines: Sequence[Line]


def beside_published(numbers: Mapping[str, Any]) -> str:
    """Our results among the published ones, one table for each rule of scoring; empty where nothing is published.

    Args:
        numbers: the content of results.json.
    """
    found = among_published({OURS: numbers})
    if not found:
        return ""
    parts = [
        f"\npublished, {SPLITS[block.split]}:\n\n{text_table(('model', *block.columns), [line.cells for line in block.lines])}"
        for block in found
    ]
    lines = ["", *remarks(found, numbers), *(f"* {models}: {why}" for models, why in corrections(found))]
    return "\n".join([*parts, *lines, f"sources, and the figures as printed: {FOLDER / numbers['benchmark']}.yaml"])


def among_published(models: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """One block for each rule of scoring; none where nothing is published.

    Args:
        models: name -> content of results.json, all of one benchmark; those on a file that only has its name are left out.
    """
    models = {name: numbers for name, numbers in models.items() if numbers.get("edition") is not None}
    benchmark = next((str(numbers.get("benchmark")) for numbers in models.values()), None)
    if benchmark not in names():
        return []
    published = read_published(benchmark)
    rows = distinct(row for row in published.rows if row.kind == "results")
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    return [made_block(published, split, members, models) for split, members in by_split.items() if members]


def made_block(published: Published, split: str, rows: Sequence[Row], models: Mapping[str, Mapping[str, Any]]) -> Block:
    """One table, sorted."""
    own = {name: ours(published.columns, split, numbers) for name, numbers in models.items()}
    others = {name: of_other_items(published, split, numbers) for name, numbers in models.items()}
    columns = [name for name in published.columns if any(name in row.values for row in rows)]
    comparable = {name for model, found in own.items() for name in found.keys() - others[model]}
    lines = [(row.corrected.get(columns[0]), Line((row.model, *cells(row, columns, comparable)), row)) for row in rows]
    for model, found in own.items():
        figures = (_own_cell(found.get(name), is_other=name in others[model]) for name in columns)
        lines.append((found.get(columns[0]), Line((model, *figures))))
    lines.sort(key=lambda line: -line[0] if line[0] is not None else 1)
    return Block(split, [published.columns[name]["title"] for name in columns], [line for _, line in lines])


def _own_cell(value: float | None, *, is_other: bool) -> str:
    """Our figure; in brackets where it is over other items than the published ones."""
    if value is None:
        return "-"
    return f"({value:.2f})" if is_other else f"{value:.2f}"


def cells(row: Row, columns: Sequence[str], comparable: Container[str]) -> list[str]:
    """Brackets around what cannot be compared with our row, `*` behind corrected and `?` behind doubtful figures."""
    shown = []
    for name in columns:
        value = row.corrected.get(name)
        mark = "*" if name in row.correction.get("values", {}) else "?" if name in row.doubtful else ""
        text = "-" if value is None else f"{value:.2f}{mark}"
        shown.append(text if name in comparable or value is None else f"({text})")
    return shown


def remarks(blocks: Sequence[Block], numbers: Mapping[str, Any]) -> list[str]:
    """What the marks that are there mean, and why our row may be no result of this benchmark."""
    figures = [cell for block in blocks for line in block.lines if line.row for cell in line.cells[1:]]
    lines = ["(in brackets): not to be compared with our row"] if any(cell.startswith("(") for cell in figures) else []
    if any(cell.startswith("(") for block in blocks for line in block.lines if not line.row for cell in line.cells[1:]):
        lines.append("(ours in brackets): not over the items that the published rows are over")
    if numbers["edition"] != "official":
        lines.append(f"our row is of another edition than theirs: {numbers['edition']}")
    if numbers.get("placeholders"):
        lines.append("our row is no result of this benchmark: it was reached with generated pictures")
    if any(line.row.doubtful for block in blocks for line in block.lines if line.row):
        lines.append("? no whole number of pairs or prompts gives this figure, or it contradicts another; printed as published")
    return lines


def corrections(blocks: Iterable[Block]) -> list[tuple[str, str]]:
    """(models, why figures of theirs were corrected), each reason once."""
    models: dict[str, list[str]] = {}
    for row in (line.row for block in blocks for line in block.lines if line.row):
        if row.correction:
            models.setdefault(row.correction["why"], []).append(row.model)
    return [(", ".join(of), why) for why, of in models.items()]
