"""Training comparisons -> those that stand in benchmarks: by a long response, by question and short responses, by a picture.

A question alone never counts: 1,250 rows of VL-RewardBench ask 664 questions. What counts as the same text says
`fingerprints.text.compact`; docs/data.md ("Overlap with benchmarks") says how often the rules are right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from basereward.fingerprints.pictures import PictureBook, same_pictures
from basereward.overlap.known import Answers, Known, answers_of
from basereward.reading import with_progress
from basereward.records import Comparison

RESPONSE, QUESTION, PICTURE = KINDS = ("response", "question and responses", "picture")
MIN_SHORT = 2
"""Short responses that must be the same, beside the question: "Yes" alone answers too many."""
MAX_QUESTIONS = 3
"""A long response to more questions than these, training and benchmark together, is boilerplate, and counts with its question only."""
EXAMPLE_CHARS = 120
_CHUNK = 512


@dataclass(frozen=True)
class Hit:
    """One training comparison that was recognised as one item of a benchmark."""

    row: int
    """Number of the training comparison."""
    item: int
    """Number of the benchmark's item."""
    kind: str
    text: str
    """The response that was recognised, cut to `EXAMPLE_CHARS`; of a picture nothing."""
    key: int = 0
    question: int = 0


class Finder:
    """Looks at training comparisons, a chunk at a time, and keeps what is like a benchmark's.

    Args:
        benchmarks: what to look for.
        by_picture: also hash every training picture, where a benchmark has pictures; each is decoded once.
    """

    def __init__(self, benchmarks: Sequence[Known], *, by_picture: bool = True) -> None:
        self.benchmarks = benchmarks
        self._book = PictureBook() if by_picture and any(len(known.hashes) for known in benchmarks) else None
        self._pictures: list[tuple[int, ...]] = []
        self._long: list[list[Hit]] = [[] for _ in benchmarks]
        self._short: list[list[Hit]] = [[] for _ in benchmarks]
        self.sources: list[str] = []
        """Of every comparison that was looked at."""
        self._asked: dict[int, set[int]] = defaultdict(set)

    def look(self, comparisons: Sequence[Comparison]) -> None:
        """Takes further comparisons, which are numbered in the order in which they come."""
        if self._book is not None:
            self._book.look(ref for item in comparisons for ref in item.images)
        for item in comparisons:
            row, answers = len(self.sources), answers_of(item)
            self.sources.append(item.source)
            self._pictures.append(tuple(map(self._book.number, item.images)) if self._book is not None else ())
            for known, long, short in zip(self.benchmarks, self._long, self._short, strict=True):
                long += self._long_hits(item, row, answers, known)
                short += _short_hits(item, row, answers, known)

    def hits(self) -> list[list[Hit]]:
        """For each benchmark what was found, by training comparison."""
        return [self._of_benchmark(number) for number in range(len(self.benchmarks))]

    def _long_hits(self, item: Comparison, row: int, answers: Answers, known: Known) -> Iterator[Hit]:
        for key, index in answers.long.items():
            for number in known.long.get(key, ()):
                self._asked[key] |= {answers.question, known.questions[number]}
                yield Hit(row, number, RESPONSE, item.responses[index][:EXAMPLE_CHARS], key, answers.question)

    def _of_benchmark(self, number: int) -> list[Hit]:
        known = self.benchmarks[number]
        long = [hit for hit in self._long[number] if self._is_telling(hit, known)]
        alike = self._rows_with_pictures(known)
        short = self._showing_the_same(self._short[number], alike, set(known.owners.tolist()))
        by_picture = [Hit(row, item, PICTURE, "") for row, items in alike.items() for item in items]
        return sorted([*long, *short, *by_picture], key=lambda hit: (hit.row, KINDS.index(hit.kind), hit.item))

    def _is_telling(self, hit: Hit, known: Known) -> bool:
        return len(self._asked[hit.key]) <= MAX_QUESTIONS or hit.question == known.questions[hit.item]

    def _rows_with_pictures(self, known: Known) -> dict[int, list[int]]:
        """Training comparison -> the items that show one of its pictures."""
        if self._book is None:
            return {}
        hashes, has_hash = self._book.hashes()
        items_of = [sorted(set(known.owners[found].tolist())) for found in same_pictures(hashes, known.hashes)]
        return {
            row: sorted({item for picture in pictures for item in items_of[picture]})
            for row, pictures in enumerate(self._pictures)
            if any(has_hash[picture] and items_of[picture] for picture in pictures)
        }

    def _showing_the_same(self, hits: Sequence[Hit], alike: dict[int, list[int]], with_pictures: set[int]) -> list[Hit]:
        """The hits without those whose two sides have pictures to compare and share none: short answers fit many pictures."""
        if self._book is None:
            return list(hits)
        _, has_hash = self._book.hashes()
        return [
            hit for hit in hits
            if hit.item not in with_pictures or not any(has_hash[picture] for picture in self._pictures[hit.row])
            or hit.item in alike.get(hit.row, ())
        ]  # fmt: skip


def _short_hits(item: Comparison, row: int, answers: Answers, known: Known) -> Iterator[Hit]:
    matched: dict[int, list[int]] = defaultdict(list)
    for key, index in answers.short.items():
        for number in known.short.get(key, ()):
            matched[number].append(index)
    for number, indices in matched.items():
        if len(indices) >= MIN_SHORT:
            text = " | ".join(item.responses[index] for index in indices)
            yield Hit(row, number, QUESTION, text[:EXAMPLE_CHARS])


def find(
    comparisons: Iterable[Comparison], benchmarks: Sequence[Known], *, by_picture: bool = True
) -> tuple[list[list[Hit]], list[str]]:
    """What of the comparisons stands in each benchmark, and the source of every comparison. They are gone through once and not held."""
    finder = Finder(benchmarks, by_picture=by_picture)
    stream = iter(with_progress(comparisons, "looking for benchmarks", unit=" comparisons"))
    while chunk := list(islice(stream, _CHUNK)):
        finder.look(chunk)
    return finder.hits(), finder.sources


def rows_found(hits: Iterable[Hit]) -> np.ndarray:
    """Numbers of the training comparisons that were found, ascending."""
    return np.unique(np.array([hit.row for hit in hits], dtype=np.int64))
