"""Ways to alter an answer that should not make it better, and some that make it worthless: (question, answer) -> another answer.

A style of the user's own is a function of this shape, named in `diagnostics.probes.styles`.
"""

from __future__ import annotations

import re

REFUSAL = "I am sorry, but I cannot help with that."


def sentences(text: str) -> list[str]:
    """Where a reader would break the line.

    >>> sentences("It is red. Why? See 3.5.")
    ['It is red.', 'Why?', 'See 3.5.']
    """
    return [part for part in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if part]


def markdown(question: str, answer: str) -> str:
    """The same sentences under a heading, as a list, the first words in bold."""
    return "## Answer\n\n" + "\n".join(
        f"- **{first}** {rest}".rstrip() for first, _, rest in (s.partition(" ") for s in sentences(answer))
    )


def verbose(question: str, answer: str) -> str:
    """The answer between sentences that say nothing."""
    return (
        "Thank you for this question. Let us look at it carefully and consider what is asked before coming to the answer.\n\n"
        f"{answer}\n\n"
        "To sum up, this is the answer to the question that was asked. I hope that this helps, and I am glad to explain it further."
    )


def hedged(question: str, answer: str) -> str:
    """The answer behind doubts about it."""
    return f"I am not entirely sure and I may well be mistaken, but it could be the following: {answer}"


def repeated(question: str, answer: str) -> str:
    """The answer twice."""
    return f"{answer}\n\n{answer}"


def empty(question: str, answer: str) -> str:
    """No answer: the end of the turn alone is read."""
    return ""


def echoed(question: str, answer: str) -> str:
    """The question in the place of an answer."""
    return question


def other_language(question: str, answer: str) -> str:
    """The answer inside German sentences: nothing here translates, so its own words stay as they are."""
    return f"Gerne beantworte ich diese Frage. Die Antwort lautet: {answer} Ich hoffe, dass Ihnen diese Antwort weiterhilft."


def refusal(question: str, answer: str) -> str:
    """A polite no."""
    return REFUSAL
