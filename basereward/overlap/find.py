"""Training comparisons -> those that stand in benchmarks: by a long response, by question and short responses, by a picture.

A question alone never counts: 1,250 rows of VL-RewardBench ask 664 questions. What counts as the same text says
`fingerprints.text.compact`; docs/data.md ("Overlap with benchmarks") says how often the rules are right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from basereward.comparisons import Comparisons
from basereward.fingerprints.pictures import same_pictures
from basereward.kept.facts import facts_of
from basereward.kept.looks import Looks
from basereward.kept.pictures import pictures_of
from basereward.kept.tables import Table
from basereward.overlap.known import ANSWERS, Known
from basereward.overlap.meet import Meetings, meetings, meetings_by_row
from basereward.records import Comparison

RESPONSE, QUESTION, PICTURE = KINDS = ("response", "question and responses", "picture")
MIN_SHORT = 2
"""Short responses that must be the same, beside the question: "Yes" alone answers too many."""
MAX_QUESTIONS = 3
"""A long response to more questions than these, training and benchmark together, is boilerplate, and counts with its question only."""


@dataclass(frozen=True)
class Hit:
    """One training comparison that was recognised as one item of a benchmark."""

    row: int
    """Number of the training comparison."""
    item: int
    """Number of the benchmark's item."""
    kind: str
    responses: tuple[int, ...] = ()
    """Numbers of the responses that were recognised; of a picture none."""


def find(
    comparisons: Sequence[Comparison], benchmarks: Sequence[Known], *, by_picture: bool = True
) -> tuple[list[list[Hit]], list[str]]:
    """What of the comparisons stands in each benchmark, by comparison; and the source of every comparison.

    Args:
        benchmarks: what to look for.
        by_picture: also compare pictures, where a benchmark has some; each is decoded once.
    """
    (answers,) = facts_of(comparisons, [ANSWERS])
    pictures = Pictures(comparisons) if by_picture and any(len(known.hashes) for known in benchmarks) else None
    long = [meetings(answers, known.answers, long=True) for known in benchmarks]
    boilerplate = _boilerplate(answers, benchmarks, long)
    hits = [_of_benchmark(answers, known, met, boilerplate, pictures) for known, met in zip(benchmarks, long, strict=True)]
    return hits, _sources(comparisons)


def rows_found(hits: Iterable[Hit]) -> np.ndarray:
    """Numbers of the training comparisons that were found, ascending."""
    return np.unique(np.array([hit.row for hit in hits], dtype=np.int64))


class Pictures:
    """The pictures of the training comparisons, and how they look."""

    def __init__(self, comparisons: Sequence[Comparison]) -> None:
        looks = Looks()
        shown = pictures_of(comparisons, looks)
        self.rows = shown.owners
        names, self.number = np.unique(shown.entries["picture"], return_inverse=True)
        self.hashes, self.known = looks.of(names.tolist())
        self.with_looks = frozenset(self.rows[self.known[self.number]].tolist())
        """Comparisons with a picture that can be compared."""

    def alike(self, known: Known) -> dict[int, list[int]]:
        """Training comparison -> the items that show one of its pictures."""
        places = np.flatnonzero(self.known)
        found = same_pictures(self.hashes[places], known.hashes)
        items_of = {int(place): known.owners[items].tolist() for place, items in zip(places, found, strict=True) if len(items)}
        alike: dict[int, set[int]] = {}
        for entry in np.flatnonzero(np.isin(self.number, list(items_of))).tolist():
            alike.setdefault(int(self.rows[entry]), set()).update(items_of[int(self.number[entry])])
        return {row: sorted(items) for row, items in alike.items()}


def _of_benchmark(answers: Table, known: Known, long: Meetings, boilerplate: np.ndarray, pictures: Pictures | None) -> list[Hit]:
    same_question = answers.rows["question"][long.rows] == known.answers.rows["question"][long.items]
    telling = long.take(same_question | ~np.isin(long.keys, boilerplate))
    alike = pictures.alike(known) if pictures is not None else {}
    short = [
        Hit(row, item, QUESTION, responses)
        for (row, item), responses in meetings_by_row(meetings(answers, known.answers, long=False)).items()
        if len(responses) >= MIN_SHORT
    ]
    by_picture = [Hit(row, item, PICTURE) for row, items in alike.items() for item in items]
    by_response = map(Hit, telling.rows.tolist(), telling.items.tolist(), repeat(RESPONSE), zip(telling.responses.tolist()))
    hits = [*by_response, *_showing_the_same(short, known, alike, pictures), *by_picture]
    return sorted(hits, key=lambda hit: (hit.row, KINDS.index(hit.kind), hit.item))


def _boilerplate(answers: Table, benchmarks: Sequence[Known], met: Sequence[Meetings]) -> np.ndarray:
    """Keys of long responses to more than `MAX_QUESTIONS` questions, of those that training and benchmarks share."""
    keys = np.concatenate([np.zeros(0, np.uint64), *(found.keys for found in met for _ in range(2))])
    asked = [
        questions
        for found, known in zip(met, benchmarks, strict=True)
        for questions in (answers.rows["question"][found.rows], known.answers.rows["question"][found.items])
    ]
    pairs = np.unique(np.stack([keys, np.concatenate([np.zeros(0, np.uint64), *asked])], axis=1), axis=0)
    shared, counts = np.unique(pairs[:, 0], return_counts=True)
    return shared[counts > MAX_QUESTIONS]


def _showing_the_same(hits: list[Hit], known: Known, alike: dict[int, list[int]], pictures: Pictures | None) -> list[Hit]:
    """The hits without those whose two sides have pictures to compare and share none: short answers fit many pictures."""
    if pictures is None:
        return hits
    with_pictures = frozenset(known.owners.tolist())
    return [
        hit for hit in hits
        if hit.item not in with_pictures or hit.row not in pictures.with_looks or hit.item in alike.get(hit.row, ())
    ]  # fmt: skip


def _sources(comparisons: Sequence[Comparison]) -> list[str]:
    if isinstance(comparisons, Comparisons):
        return [view.name for view in comparisons.views for _ in range(len(view))]
    return [item.source for item in comparisons]
