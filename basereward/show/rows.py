"""A recipe -> its comparisons, one after another, with an account of the rows that are left out, and examples of them. Nothing is held."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from basereward.accounts import Judged, judged, label_of
from basereward.problems import Problem, shown
from basereward.reading import with_progress
from basereward.recipes import Recipe
from basereward.records import Comparison

# Kept of each reason for leaving rows out.
EXAMPLES = 3


@dataclass
class Rows:
    """Iterated once; what it counts is complete when the iteration ends.

    Args:
        recipe: reads and judges the rows, as for training.
        limit: of the rows that are read; all when None.
    """

    recipe: Recipe
    limit: int | None = None
    rows_read: int = 0
    is_cut: bool = False
    """There are more rows than `limit`."""
    dropped: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Reason -> the first rows, each with its place and what is wrong with it, or how it begins where its recipe drops such rows."""

    def __iter__(self) -> Iterator[Comparison]:
        """The comparisons in the order of the rows."""
        for item in judged(self.recipe, self._first()):
            if item.reason is None:
                yield item.result
                continue
            self.dropped[item.reason] += 1
            if len(self.examples[item.reason]) < EXAMPLES:
                self.examples[item.reason].append(_example(item))

    def _first(self) -> Iterator[tuple[str, Mapping | Problem]]:
        for where, row in with_progress(self.recipe.rows(), label_of(self.recipe)):
            if self.rows_read == self.limit:
                self.is_cut = True
                return
            self.rows_read += 1
            yield where, row


def _example(item: Judged) -> str:
    return str(item.result[0]) if isinstance(item.result, tuple) else f"{item.where}: {_beginning(item.row)}"


def _beginning(row: Mapping) -> str:
    """Every key of a row with the beginning of its value."""
    return ", ".join(f"{key}: {shown(value)}" for key, value in row.items())
