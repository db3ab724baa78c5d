"""What a mixture takes beside the pairs that the BaseReward paper counts for the same sources: by the cards before anything is read
(`paper_table`), by what was read afterwards (`epoch_beside_paper`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from basereward.cards import expected_rows
from basereward.shares import read_share
from basereward.text_tables import table

PLANNED = ("source", "rows by the card", "an epoch takes", "pairs in the paper", "difference")
COUNTED = ("source", "comparisons", "pairs of an epoch", "pairs in the paper", "difference")
UNKNOWN = "?"
NOT_IN_PAPER = "-"


@dataclass(frozen=True)
class Line:
    """One source; None stands for a number that is not known, or not in the paper."""

    name: str
    rows: int | None
    """By the card; comparisons of an epoch once they are counted."""
    taken: int | None
    """Of them in an epoch; pairs once they are counted."""
    in_paper: int | None


def paper_lines(sources: Mapping[str, Any]) -> list[Line]:
    """The sources of a mixture, in the order of the config.

    Args:
        sources: name -> config node of a recipe, with its card and its share.
    """
    lines = []
    for name, node in sources.items():
        rows = rows_by_card(node)
        in_paper = (node.get("card") or {}).get("pairs_in_paper")
        lines.append(Line(name, rows, _taken(node, rows, f"data.sources.{name}"), in_paper))
    return lines


def rows_by_card(node: Mapping[str, Any]) -> int | None:
    """Rows that a recipe's card expects of what its node reads; None where the card does not say.

    >>> rows_by_card({"split": "train", "card": {"rows_expected": {"train": 9, "test": 1}}})
    9
    """
    expected = (node.get("card") or {}).get("rows_expected") or {}
    return expected_rows(expected, node.get("path"), node.get("split"))


def paper_table(sources: Mapping[str, Any]) -> str:
    """The lines as aligned text, with their sums and the names of what no card counts; empty when no source is the paper's."""
    lines = paper_lines(sources)
    unknown = [line.name for line in lines if line.taken is None]
    note = f"no card counts the rows of {', '.join(unknown)}; the run does, before it trains" if unknown else ""
    return _table(PLANNED, lines, "a row is a comparison; one of N responses holds up to N (N - 1) / 2 pairs", note)


def epoch_beside_paper(manifest: Mapping[str, Any]) -> str:
    """As `paper_table`, from the account of what was read (`data_manifest.json`)."""
    taken = manifest["mixture"]["sources"]
    in_paper = {name: account.get("pairs_in_paper") for name, account in manifest["sources"].items()}
    lines = [Line(name, item["comparisons"], item["pairs"], in_paper.get(name)) for name, item in taken.items()]
    return _table(COUNTED, lines)


def _table(header: Sequence[str], lines: Sequence[Line], *notes: str) -> str:
    if all(line.in_paper is None for line in lines):
        return ""
    known = [line for line in lines if line.taken is not None]
    name = "all" if len(known) == len(lines) else "all that is known"
    sums = Line(name, *(sum(getattr(line, key) or 0 for line in known) for key in ("rows", "taken", "in_paper")))
    rows = [_cells(line) for line in ([*lines, sums] if len(lines) > 1 else lines)]
    total = f"the paper's pairs of all these sources: {sum(line.in_paper or 0 for line in lines):,}"
    return "\n".join([table(header, rows), *(note for note in (total, *notes) if note)])


def _taken(node: Mapping[str, Any], rows: int | None, key: str) -> int | None:
    """Comparisons of one epoch; None where they depend on the sizes of other sources, or on a size that is not known."""
    share = read_share(node, key)
    if share.count is not None:
        return share.count
    if rows is None or share.weight is not None:
        return None
    return round((share.epochs or 1) * share.size(rows))


def _cells(line: Line) -> tuple[str, ...]:
    own = [UNKNOWN if count is None else f"{count:,}" for count in (line.rows, line.taken)]
    if line.in_paper is None:
        return (line.name, *own, NOT_IN_PAPER, NOT_IN_PAPER)
    difference = UNKNOWN if line.taken is None else f"{line.taken - line.in_paper:+,}"
    return (line.name, *own, f"{line.in_paper:,}", difference)
