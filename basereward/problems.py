"""What is wrong with rows of data, and the one report that lists it all: file:line (id), expected, found, what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from basereward.errors import DataError

SHOWN_PROBLEMS = 20
SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one row."""

    kind: str
    """A few words that are the same for all problems of this sort; counts are kept by it."""
    where: str
    """`file:line`, or `file[index]` where the file has no lines."""
    id: str
    expected: str
    found: str
    advice: str

    def __str__(self) -> str:
        name = f"{self.where} ({self.id})" if self.id else self.where
        return f"{name}: expected {self.expected}; found {self.found}; {self.advice}"


class RowError(DataError):
    """A row that cannot become a comparison; `problems` has every reason, the message lists them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class BadRows(DataError):
    """What ends a read with `on_error: fail`: `problems` has all of them, the message is their `report`."""

    def __init__(self, problems: Sequence[Problem], *, title: str = "", advice: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__(report(problems, title=title, advice=advice))


class Notes:
    """Collects the problems of one row while it is read, so that all of them are reported together."""

    __slots__ = ("id", "problems", "where")

    def __init__(self, where: str, id: str = "") -> None:
        self.where = where
        self.id = id
        self.problems: list[Problem] = []

    def add(self, kind: str, expected: str, found: str, advice: str) -> None:
        """Keeps one problem."""
        self.problems.append(Problem(kind, self.where, self.id, expected, found, advice))

    def raise_if_any(self) -> None:
        """Raises RowError with what was collected."""
        if self.problems:
            raise RowError(self.problems)


def shown(value: object) -> str:
    """A value as it appears in a message: its repr, cut to `SHOWN_CHARS` characters.

    >>> shown("a" * 200)[-12:]
    'aaaaaaaa... '
    """
    text = f"{len(value)} bytes" if isinstance(value, bytes | bytearray) else repr(value)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 4] + "... "


def report(problems: Sequence[Problem], *, title: str = "", advice: str = "") -> str:
    """The text that ends a read with problems: the first 20 of them, then how many there are of each kind.

    Args:
        problems: in the order of the file.
        title: what was read, for the first line.
        advice: a last line, for what can be done about all of them together.
    """
    rows = len({(problem.where, problem.id) for problem in problems})
    lines = [f"{counted(len(problems), 'problem')} in {counted(rows, 'row')}" + (f" of {title}" if title else "")]
    lines += [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  ... and {len(problems) - SHOWN_PROBLEMS} more")
    lines.append("by kind:")
    lines += [f"  {count:>6}  {kind}" for kind, count in Counter(problem.kind for problem in problems).most_common()]
    return "\n".join([*lines, advice] if advice else lines)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 image, 2 images."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def in_words(counts: Mapping[str, int]) -> str:
    """Counts for a message.

    >>> in_words({"tie": 3, "empty answer": 1}), in_words({})
    ('3 tie, 1 empty answer', 'none')
    """
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"
