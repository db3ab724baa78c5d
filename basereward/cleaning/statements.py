"""What a comparison says, as keys of 64 bits, and how long its texts are: facts that no setting of `data.clean` changes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from basereward.fingerprints import text
from basereward.fingerprints.text import digest, prompt_text, text_key
from basereward.kept.kinds import Kind
from basereward.kept.tables import Table, whole
from basereward.records import Comparison

BAD = (None, "empty response", "identical responses")
"""What a recipe let pass; a comparison's fact is the number of one of these."""
LENGTHS = ("prompt_chars", "prompt_words", "response_chars", "response_words")


def statements_of(comparisons: Sequence[Comparison]) -> Table:
    """Rows `said`, a key of all that a comparison says; `bad`, a number into `BAD`; and by name of `LENGTHS` the least and the most."""
    said = np.array([digest(_statement(item)) for item in comparisons], dtype=np.uint64)
    bad = np.array([_bad(item) for item in comparisons], dtype=np.uint8)
    sizes = np.array([_lengths(item) for item in comparisons], dtype=np.int64).reshape(-1, len(LENGTHS), 2)
    return whole({"said": said, "bad": bad} | {name: sizes[:, k] for k, name in enumerate(LENGTHS)})


def claims_of(comparisons: Sequence[Comparison]) -> Table:
    """An entry for each pair: `about`, a key of the prompt and the two texts, and `first`, whether the one with the smaller key is
    preferred.
    """
    counts, about, first = [], [], []
    for item in comparisons:
        counts.append(len(item.pairs))
        prompt = text_key(prompt_text(item.messages))
        keys = [text_key(response) for response in item.responses]
        for pair in item.pairs:
            better, worse = keys[pair.better], keys[pair.worse]
            about.append(digest(f"{prompt} {min(better, worse)} {max(better, worse)}"))
            first.append(better < worse)  # texts that differ in case alone have one key, and contradict nothing
    entries = {"about": np.array(about, dtype=np.uint64), "first": np.array(first, dtype=bool)}
    return Table(np.array(counts, dtype=np.int64), {}, entries)


STATEMENTS = Kind("statements", statements_of, (text,))
CLAIMS = Kind("claims", claims_of, (text,))


def _statement(item: Comparison) -> str:
    """All that a comparison says, its pictures left out; the order of its responses does not count."""
    texts = item.responses
    preferred = sorted((texts[pair.better], texts[pair.worse]) for pair in item.pairs)
    tied = sorted(sorted((texts[one], texts[other])) for one, other in item.ties)
    return json.dumps([item.messages, sorted(texts), preferred, tied])


def _bad(item: Comparison) -> int:
    texts = [response.strip() for response in item.responses]
    if not all(texts):
        return 1
    return 2 if any(texts[pair.better] == texts[pair.worse] for pair in item.pairs) else 0


def _lengths(item: Comparison) -> list[tuple[int, int]]:
    """(least, most) for each of `LENGTHS`."""
    prompt = [prompt_text(item.messages)]
    sizes = ([measure(t) for t in texts] for texts in (prompt, item.responses) for measure in (len, _words))
    return [(min(values), max(values)) for values in sizes]


def _words(text: str) -> int:
    return len(text.split())
