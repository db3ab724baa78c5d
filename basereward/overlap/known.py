"""A benchmark's comparisons -> keys by which its responses, questions and pictures are recognised elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from basereward.fingerprints import text
from basereward.fingerprints.text import digest, is_long, prompt_text, text_key
from basereward.kept.kinds import Kind
from basereward.kept.looks import Looks
from basereward.kept.pictures import pictures_of
from basereward.kept.tables import Table
from basereward.records import Comparison


def answers_of(comparisons: Sequence[Comparison]) -> Table:
    """Rows `question`, its key; system turns do not count, which every toolkit adds its own of. An entry for each response: `is_long`,
    whether it is recognised by itself, and `key`, of the response, or of the question with a short response to it.
    """
    questions, keys, long = [], [], []
    for item in comparisons:
        question = text_key(prompt_text(item.messages, with_system=False))
        questions.append(question)
        for response in item.responses:
            key = text_key(response)
            long.append(is_long(response))
            keys.append(key if long[-1] else digest(f"{question} {key}"))
    counts = np.array([len(item.responses) for item in comparisons], dtype=np.int64)
    entries = {"key": np.array(keys, dtype=np.uint64), "is_long": np.array(long, dtype=bool)}
    return Table(counts, {"question": np.array(questions, dtype=np.uint64)}, entries)


ANSWERS = Kind("answers", answers_of, (text,))


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
    """One benchmark, ready to be found in training data; its items are numbered in their order."""

    name: str
    version: str
    ids: list[str]
    content: str
    """As `content_of` says."""
    texts_alone: int
    """Items whose pictures are not at hand, so that only their texts are looked for."""
    answers: Table
    """As `answers_of` gives them."""
    hashes: np.ndarray
    """Of the pictures that can be recognised: (pictures, 9)."""
    owners: np.ndarray
    """The item of each of them."""

    @classmethod
    def of(cls, name: str, version: str, comparisons: Sequence[Comparison], *, texts_alone: int = 0) -> Known:
        """The keys of all items."""
        looks = Looks()
        shown = pictures_of(comparisons, looks)
        hashes, has_hash = looks.of(shown.entries["picture"].tolist())
        ids, content = [item.id for item in comparisons], content_of(comparisons)
        return cls(name, version, ids, content, texts_alone, answers_of(comparisons), hashes[has_hash], shown.owners[has_hash])
