"""A benchmark's comparisons -> keys by which its responses, questions and pictures are recognised elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from basereward.fingerprints.pictures import PictureBook
from basereward.fingerprints.text import digest, is_long, prompt_text, text_key
from basereward.records import Comparison


@dataclass(frozen=True)
class Answers:
    """The keys of one comparison."""

    question: int
    long: dict[int, int]
    """Key of a response that is long enough to be recognised by itself -> its index."""
    short: dict[int, int]
    """Key of a question with a short response to it -> the index of the response."""


def answers_of(comparison: Comparison) -> Answers:
    """The keys of a comparison; system turns do not count, which every toolkit adds its own of."""
    question = text_key(prompt_text(comparison.messages, with_system=False))
    long, short = {}, {}
    for index, response in enumerate(comparison.responses):
        key = text_key(response)
        if is_long(response):
            long.setdefault(key, index)
        else:
            short.setdefault(digest(f"{question} {key}"), index)
    return Answers(question, long, short)


def content_of(comparisons: Sequence[Comparison]) -> str:
    """SHA-256 of all questions and responses in their order: what two copies of a benchmark share, whatever their names and files.

    Ids, labels and pictures do not count: a copy may lack them, and what is found where does not depend on them.
    """
    digest_of_all = hashlib.sha256()
    for item in comparisons:
        texts = [prompt_text(item.messages), *item.responses]
        digest_of_all.update(json.dumps(texts).encode("ascii") + b"\n")
    return digest_of_all.hexdigest()


@dataclass
class Known:
    """One benchmark, ready to be found in training data."""

    name: str
    version: str
    ids: list[str]
    content: str = ""
    """As `content_of` says."""
    texts_alone: int = 0
    """Items whose pictures are not at hand, so that only their texts are looked for."""
    questions: list[int] = field(default_factory=list)
    long: dict[int, list[int]] = field(default_factory=dict)
    """Key of a long response -> the items that have it."""
    short: dict[int, list[int]] = field(default_factory=dict)
    """Key of a question with a short response -> the items that have both."""
    hashes: np.ndarray = field(default_factory=lambda: np.empty((0, 9), dtype=np.uint64))
    """Of the pictures that can be recognised: (pictures, 9)."""
    owners: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """The item of each of them."""

    @classmethod
    def of(cls, name: str, version: str, comparisons: Sequence[Comparison], *, texts_alone: int = 0) -> Known:
        """The keys of all items, which are numbered in their order."""
        known = cls(name, version, [item.id for item in comparisons], content_of(comparisons), texts_alone)
        for number, item in enumerate(comparisons):
            answers = answers_of(item)
            known.questions.append(answers.question)
            for key in answers.long:
                known.long.setdefault(key, []).append(number)
            for key in answers.short:
                known.short.setdefault(key, []).append(number)
        known._add_pictures(comparisons)
        return known

    def _add_pictures(self, comparisons: Sequence[Comparison]) -> None:
        book = PictureBook()
        book.look(ref for item in comparisons for ref in item.images)
        hashes, has_hash = book.hashes()
        shown = [(number, book.number(ref)) for number, item in enumerate(comparisons) for ref in item.images]
        shown = [(number, picture) for number, picture in shown if has_hash[picture]]
        self.owners = np.array([number for number, _ in shown], dtype=np.int64)
        self.hashes = hashes[np.array([picture for _, picture in shown], dtype=np.int64)]
