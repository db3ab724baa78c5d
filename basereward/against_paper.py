"""What a mixture takes beside the pairs that the BaseReward paper counts for the same sources; read from the cards alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from basereward.shares import read_share
from basereward.text_tables import table

HEADER = ("source", "rows by the card", "an epoch takes", "pairs in the paper", "difference")
UNKNOWN = "?"
NOT_IN_PAPER = "-"


@dataclass(frozen=True)
class Line:
    """One source; None stands for a number that its card does not give."""

    name: str
    rows: int | None
    taken: int | None
    in_paper: int | None

    @property
    def difference(self) -> int | None:
        """What an epoch takes more than the paper."""
        return None if self.taken is None or self.in_paper is None else self.taken - self.in_paper


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

    The card counts files or splits: the file of `path` or the node's `split` where it is among them, else all of them. A source
    made of parts has the rows of its parts, and of those it samples the share.

    >>> rows_by_card({"split": "train", "card": {"rows_expected": {"train": 9, "test": 1}}})
    9
    >>> rows_by_card({"parts": {"a": {"card": {"rows_expected": {"train": 8}}}, "b": {"card": {}}}}) is None
    True
    """
    if parts := node.get("parts"):
        counts = {name: rows_by_card(part) for name, part in parts.items()}
        if None in counts.values():
            return None
        shares = dict.fromkeys(node.get("sampled") or (), node.get("share", 1.0))
        return round(sum(count * shares.get(name, 1.0) for name, count in counts.items()))
    expected = (node.get("card") or {}).get("rows_expected") or {}
    for key in (os.path.basename(str(node.get("path"))), node.get("split")):
        if key in expected:
            return expected[key]
    return sum(expected.values()) if expected else None


def paper_table(sources: Mapping[str, Any]) -> str:
    """The lines as aligned text, with their sums and the names of what no card counts; empty when no source is the paper's.

    A row is one comparison: that of a ranking of four stands for up to six pairs.
    """
    lines = paper_lines(sources)
    if all(line.in_paper is None for line in lines):
        return ""
    known = [line for line in lines if line.taken is not None]
    sums = [sum(line.rows or 0 for line in known), sum(line.taken for line in known), sum(line.in_paper or 0 for line in known)]
    rows = [_cells(line.name, line.rows, line.taken, line.in_paper, line.difference) for line in lines]
    rows.append(_cells("all that is known", *sums, sums[1] - sums[2]))
    unknown = [line for line in lines if line.taken is None]
    text = [table(HEADER, rows), f"the paper's pairs of all these sources: {sum(line.in_paper or 0 for line in lines):,}"]
    if unknown:
        names = ", ".join(line.name for line in unknown)
        text.append(f"no card says how many rows {names} has; `basereward data check` counts them")
    return "\n".join(text)


def _taken(node: Mapping[str, Any], rows: int | None, key: str) -> int | None:
    """Comparisons of one epoch; None where they depend on the sizes of other sources, or on a size that is not known."""
    share = read_share(node, key)
    if share.count is not None:
        return share.count
    if rows is None or share.weight is not None:
        return None
    return round((share.epochs or 1) * share.size(rows))


def _cells(name: str, rows: int | None, taken: int | None, in_paper: int | None, difference: int | None) -> tuple[str, ...]:
    own = [UNKNOWN if count is None else f"{count:,}" for count in (rows, taken)]
    if in_paper is None:
        return (name, *own, NOT_IN_PAPER, NOT_IN_PAPER)
    return (name, *own, f"{in_paper:,}", UNKNOWN if difference is None else f"{difference:+,}")
