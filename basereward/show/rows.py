"""A recipe -> its comparisons, one after another, with an account of the rows that are left out. Nothing is held, no picture opened."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from basereward.problems import Problem, RowError, shown
from basereward.reading import with_progress
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison

# Kept of each reason for leaving rows out.
EXAMPLES = 3


@dataclass
class Rows:
    """Iterated once; what it counts is complete when the iteration ends.

    Args:
        recipe: reads and judges the rows. Its pictures are not decoded: the page says which of those it shows cannot be opened.
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
        for where, row in with_progress(self.recipe.rows(), self.recipe.source or os.path.basename(self.recipe.path)):
            if self.rows_read == self.limit:
                self.is_cut = True
                return
            self.rows_read += 1
            result = self._judge(row, where)
            if result is not None:
                yield result

    def _judge(self, row: Mapping | Problem, where: str) -> Comparison | None:
        if isinstance(row, Problem):
            return self._leave_out(row.kind, str(row))
        try:
            result = self.recipe.comparison(row, where)
        except RowError as error:
            return self._leave_out(error.problems[0].kind, str(error.problems[0]))
        return self._leave_out(result.reason, f"{where}: {_beginning(row)}") if isinstance(result, Dropped) else result

    def _leave_out(self, reason: str, example: str) -> None:
        self.dropped[reason] += 1
        if len(self.examples[reason]) < EXAMPLES:
            self.examples[reason].append(example)


def _beginning(row: Mapping) -> str:
    """Every key of a row with the beginning of its value."""
    return ", ".join(f"{key}: {shown(value)}" for key, value in row.items())
