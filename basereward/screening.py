"""Known faults of public rows -> the constant reasons under which recipes drop them, so that a count by reason stays readable.

`parse_row` refuses what it cannot read, and one refused row ends a read. What is known to happen in a public set is asked here
first: such a row is dropped and counted, not a problem to correct.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from basereward.turns import MARKER

EMPTY_ANSWER = "empty answer"
EMPTY_PROMPT = "empty prompt"
SAME_ANSWERS = "chosen equals rejected"
ALL_TIED = "all responses tied"
TOO_FEW = "fewer than two rated responses"
LITERAL_MARKER = f"the prompt holds the text {MARKER}"
MARKERS_DIFFER = "image markers do not match the images"
NOT_USER_LAST = "the prompt does not end with a user turn"


def pair_fault(chosen: object, rejected: object) -> str | None:
    """Why two answers make no pair; None when they do.

    >>> pair_fault("Red.", "Red. "), pair_fault("Red.", None), pair_fault("Red.", "Blue.")
    ('chosen equals rejected', 'empty answer', None)
    """
    texts = [text.strip() if isinstance(text, str) else "" for text in (chosen, rejected)]
    if not all(texts):
        return EMPTY_ANSWER
    return SAME_ANSWERS if texts[0] == texts[1] else None


def text_prompt_fault(prompt: object) -> str | None:
    """Why a prompt without images cannot be asked; None when it can.

    Args:
        prompt: a text, or messages with `role` and a text as `content`.

    >>> text_prompt_fault([{"role": "user", "content": "Draw an <image> tag."}])
    'the prompt holds the text <image>'
    """
    turns = [{"role": "user", "content": prompt}] if not isinstance(prompt, Sequence) or isinstance(prompt, str) else prompt
    texts = [turn.get("content") if isinstance(turn, Mapping) else None for turn in turns]
    if not texts or not isinstance(texts[-1], str) or not texts[-1].strip():
        return EMPTY_PROMPT
    if turns[-1].get("role") != "user":
        return NOT_USER_LAST
    # Reading takes the marker for a picture, and there is none: in these sets it is part of somebody's code.
    return LITERAL_MARKER if any(isinstance(text, str) and MARKER in text for text in texts) else None


def number(value: object) -> float | None:
    """A rating as a number; None for what is none, such as "N/A", "", null, True or NaN.

    >>> number("4"), number(" 3.5 "), number("N/A"), number(None)
    (4.0, 3.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def mean_number(values: Sequence[object]) -> float | None:
    """The mean of those values that are numbers; None when none is.

    >>> mean_number(["5", "N/A", "4"]), mean_number(["N/A"])
    (4.5, None)
    """
    found = [rating for value in values if (rating := number(value)) is not None]
    return sum(found) / len(found) if found else None


def rated(responses: Sequence[object], scores: Sequence[object]) -> tuple[list[str], list[float]]:
    """The responses that have a text and a number, each text once.

    A text that occurs twice (after stripping) counts once, with the mean of its scores: two scores of one text are two opinions
    of it, not an order.

    Returns:
        Responses in the order given, and their scores, rounded to 6 decimals so that equal sums of floats stay equal.

    >>> rated(["a", "b ", "b", "", "c"], [1, "4", 2, 5, "N/A"])
    (['a', 'b '], [1.0, 3.0])
    """
    found: dict[str, list[float]] = {}
    first: dict[str, str] = {}
    for text, score in zip(responses, scores, strict=True):
        value = number(score)
        if value is None or not isinstance(text, str) or not text.strip():
            continue
        first.setdefault(text.strip(), text)
        found.setdefault(text.strip(), []).append(value)
    return list(first.values()), [round(sum(values) / len(values), 6) for values in found.values()]


def rating_fault(scores: Sequence[float], *, keep_ties: bool = False) -> str | None:
    """Why rated responses make no comparison; None when they do.

    >>> rating_fault([3.0]), rating_fault([3.0, 3.0]), rating_fault([3.0, 3.0], keep_ties=True)
    ('fewer than two rated responses', 'all responses tied', None)
    """
    if len(scores) < 2:
        return TOO_FEW
    return ALL_TIED if len(set(scores)) == 1 and not keep_ties else None


def question_fault(question: object, num_images: int) -> str | None:
    """Why a question about pictures cannot be asked; None when it can.

    Markers are fine when there is one for each picture, and when there is none: the pictures then stand first.

    >>> question_fault("What?", 1), question_fault("<image> or <image>?", 2), question_fault("<image>What?", 2)
    (None, None, 'image markers do not match the images')
    """
    if not isinstance(question, str) or not question.strip():
        return EMPTY_PROMPT
    return MARKERS_DIFFER if question.count(MARKER) not in (0, num_images) else None
