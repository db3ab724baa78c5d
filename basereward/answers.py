"""The answers of a public dataset's row -> what a comparison can hold, or the reason to leave the row out.

Public sets have thousands of rows with an empty answer, the same answer twice, or equal ratings. They are known, so they are
counted under these few reasons; a row that fails in a way nobody foresaw stays an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from basereward.recipes import Dropped
from basereward.turns import MARKER

EMPTY = Dropped("empty response")
SAME = Dropped("chosen equals rejected")
NO_QUESTION = Dropped("no question")
TIE = Dropped("tie")
ALL_TIED = Dropped("all responses tied")
FEW_RATED = Dropped("fewer than two rated responses")
ALL_SAME = Dropped("all responses say the same")
MARKER_IN_TEXT = Dropped(f"the prompt holds the text {MARKER}")
NOT_USER_LAST = Dropped("the prompt does not end with a user turn")


def is_text(value: object) -> bool:
    """True for a text with more than white space in it."""
    return isinstance(value, str) and bool(value.strip())


def unusable_pair(chosen: object, rejected: object) -> Dropped | None:
    """Why two answers make no pair; None when they do.

    >>> unusable_pair("Red.", None).reason, unusable_pair("Red.", " Red. ").reason, unusable_pair("Red.", "Blue.")
    ('empty response', 'chosen equals rejected', None)
    """
    if not (is_text(chosen) and is_text(rejected)):
        return EMPTY
    return SAME if chosen.strip() == rejected.strip() else None


def unusable_prompt(prompt: object) -> Dropped | None:
    """Why a prompt without images cannot be asked; None when it can.

    Args:
        prompt: a text, or messages with `role` and a text as `content`.

    >>> unusable_prompt([{"role": "user", "content": "Draw an <image> tag."}]).reason, unusable_prompt("Draw a tag.")
    ('the prompt holds the text <image>', None)
    """
    turns = [{"role": "user", "content": prompt}] if not isinstance(prompt, list | tuple) else prompt
    texts = [turn.get("content") if isinstance(turn, Mapping) else None for turn in turns]
    if not texts or not is_text(texts[-1]):
        return NO_QUESTION
    if turns[-1].get("role") != "user":
        return NOT_USER_LAST
    # Reading takes the marker for a picture, and there is none: in these sets it is part of somebody's code.
    return MARKER_IN_TEXT if any(isinstance(text, str) and MARKER in text for text in texts) else None


def tied_pair(first: str, second: str) -> dict:
    """The fields of a record of two answers that are as good as each other, for a source that keeps ties."""
    return {"responses": [first, second], "ranks": [0, 0]}


def rated(answers: Sequence[object], scores: Sequence[object], *, keep_ties: bool = False) -> dict | Dropped:
    """N answers with a score each -> the fields `responses` and `scores` of a record.

    An answer without text, or whose score is no finite number, is left out. The same text twice is one answer with the mean of
    its scores: two copies with different scores would contradict each other.

    Args:
        keep_ties: answers that all have one score are kept.

    >>> rated(["a", "b", "a ", ""], [4.0, 1.0, 2.0, 5.0])
    {'responses': ['a', 'b'], 'scores': [3.0, 1.0]}
    >>> rated(["a", "b"], [4.0, None]).reason
    'fewer than two rated responses'
    """
    found: dict[str, list] = {}
    count = 0
    for answer, score in zip(answers, scores, strict=True):
        if is_text(answer) and isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score):
            count += 1
            found.setdefault(answer.strip(), [answer]).append(float(score))
    if count < 2:
        return FEW_RATED
    if len(found) < 2:
        return ALL_SAME
    responses = [texts_and_scores[0] for texts_and_scores in found.values()]
    means = [sum(values) / len(values) for _, *values in found.values()]
    if len(set(means)) == 1 and not keep_ties:
        return ALL_TIED
    return {"responses": responses, "scores": means}


def number(value: object) -> float | None:
    """A rating as a number; None for what is none, such as "N/A" or an empty text.

    >>> number("4"), number(" 3.5 "), number(2), number("N/A"), number(None), number("nan")
    (4.0, 3.5, 2.0, None, None, None)
    """
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) and not isinstance(value, bool) else None


def mean(values: Sequence[float | None]) -> float | None:
    """The mean; None when there is no value or one of them is missing: a partial mean would favour what was not rated."""
    return sum(values) / len(values) if values and None not in values else None


def json_object(text: object) -> dict | None:
    """The object in a column that holds JSON; a column that was decoded already passes through; None for anything else."""
    if isinstance(text, str):
        try:
            text = json.loads(text)
        except json.JSONDecodeError:
            return None
    return dict(text) if isinstance(text, Mapping) else None


def list_of_rows(value: object) -> list[Mapping]:
    """The rows of a nested column, which `datasets` turns into a dict of lists when it was declared as a sequence of dicts.

    >>> list_of_rows({"model": ["a", "b"], "text": ["x", "y"]})[1]
    {'model': 'b', 'text': 'y'}
    """
    if isinstance(value, Mapping):
        columns = {key: values for key, values in value.items() if isinstance(values, list | tuple)}
        size = min(map(len, columns.values()), default=0)
        return [{key: values[index] for key, values in columns.items()} for index in range(size)]
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
