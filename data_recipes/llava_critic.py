"""LLaVA-Critic-113k: what a judge was asked and what it answered, as text -> comparisons.

basereward train data=llava_critic, or data=llava_critic_pointwise for the judgements of single answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from basereward.images import image_key
from basereward.problems import Problem
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import number, pair_fault, question_fault, rated, rating_fault
from basereward.turns import MARKER, plain_turn

# The forms in which a judge is asked; each answer runs to the next label, and a bracket inside an answer does not end it.
_BRACKETS = re.compile(
    r"Question: \[(?P<question>.*?)\]\s*\n\s*(?:Response [1A]|The first response): \[(?P<first>.*?)\]\s*\n"
    r"\s*(?:Response [2B]|The second response): \[(?P<second>.*)\]",
    re.DOTALL,
)
_ARENA = re.compile(
    r"<\|User Prompt\|>(?P<question>.*?)<\|The Start of Assistant A's Answer\|>(?P<first>.*?)<\|The End of Assistant A's Answer\|>"
    r".*?<\|The Start of Assistant B's Answer\|>(?P<second>.*?)<\|The End of Assistant B's Answer\|>",
    re.DOTALL,
)
_LLAVA_BENCH = re.compile(
    r"\[Question\](?P<question>.*?)\[Assistant 1\](?P<first>.*?)\[End of Assistant 1\]"
    r".*?\[Assistant 2\](?P<second>.*?)\[End of Assistant 2\]",
    re.DOTALL,
)
_SINGLE = re.compile(r"Question: \[(?P<question>.*?)\]\s*\n\s*(?:The LMM response|Response): \[(?P<answer>.*)\]", re.DOTALL)
_CAPTION = re.compile(r"Text Caption:(?P<answer>.*?)\n\s*From 0 to 100", re.DOTALL)
# A caption is judged without a question; this is the commonest one of the caption sets that the answers come from.
CAPTION_QUESTION = "Describe this image in detail."

_BETTER = re.compile(r"The better response: \[(first|second|1|2|A|B)\]", re.IGNORECASE)
_ARENA_VERDICT = re.compile(r"\[\[(A>>B|A>B|A=B|B>A|B>>A)\]\]")
_TWO_SCORES = re.compile(r"\s*(\d+(?:\.\d+)?)[ ,]+(\d+(?:\.\d+)?)\s*(?:\n|$)")
_SCORE = re.compile(r"(?:Final )?Score: *\[?(\d+(?:\.\d+)?)", re.IGNORECASE)
_FIRST = ("first", "1", "a")
_MAX_SCORE = 100

UNKNOWN_FORM = Dropped("the judge was asked in an unknown form")
NO_VERDICT = Dropped("the judge's verdict cannot be read")
COLUMNS = {"id": "text", "conversations": "list of {from, value}", "image": "image"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said of two answers."""

    question: str
    answers: tuple[str, str]
    scores: tuple[float, float]
    """Higher is better; (1, 0) where it only said which."""


def read_verdict(asked: str, said: str) -> Verdict | Dropped:
    """Both answers and the judge's opinion, out of the text of a question to a judge and the text of its reply.

    >>> asked = "Question: [What is it?]\\nThe first response: [A car.]\\nThe second response: [A [red] car.]\\nASSISTANT:"
    >>> read_verdict(asked, "The better response: [second]. It says more.")
    Verdict(question='What is it?', answers=('A car.', 'A [red] car.'), scores=(0.0, 1.0))
    """
    for form, read_scores in ((_BRACKETS, _better), (_ARENA, _arena_scores), (_LLAVA_BENCH, _two_scores)):
        if found := form.search(asked):
            scores = read_scores(said)
            parts = [found[name].strip() for name in ("question", "first", "second")]
            return Verdict(parts[0], (parts[1], parts[2]), scores) if scores else NO_VERDICT
    return UNKNOWN_FORM


def _better(said: str) -> tuple[float, float] | None:
    if found := _BETTER.search(said):
        return (1.0, 0.0) if found[1].lower() in _FIRST else (0.0, 1.0)
    return (0.0, 0.0) if "equally good" in said else None


def _arena_scores(said: str) -> tuple[float, float] | None:
    """The last verdict counts: a judge quotes the possible ones before it gives its own."""
    verdicts = _ARENA_VERDICT.findall(said)
    if not verdicts:
        return None
    return (0.0, 0.0) if verdicts[-1] == "A=B" else (1.0, 0.0) if verdicts[-1].startswith("A") else (0.0, 1.0)


def _two_scores(said: str) -> tuple[float, float] | None:
    found = _TWO_SCORES.match(said)
    return (float(found[1]), float(found[2])) if found else None


class LLaVACritic(Recipe):
    """Judgements of two answers, in three forms: brackets, arena, and LLaVA-Bench's two scores. Ties are dropped.

    The order of the answers is the judge's; the verdict says which is better.
    """

    columns: ClassVar[Mapping[str, str]] = COLUMNS

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """Both answers of a judgement."""
        texts = judge_texts(row)
        if isinstance(texts, Dropped):
            return texts
        verdict = read_verdict(*texts)
        if isinstance(verdict, Dropped):
            return verdict
        if fault := question_fault(verdict.question, 1) or pair_fault(*verdict.answers):
            return Dropped(fault)
        if verdict.scores[0] == verdict.scores[1] and not self.keep_ties:
            return Dropped("tie")
        record = {"prompt": verdict.question, "responses": verdict.answers, "scores": verdict.scores, "images": [row["image"]]}
        return self.parse(record | {"id": str(row["id"]), "category": str(row.get("source") or "")}, where)


class LLaVACriticPointwise(Recipe):
    """Judgements of single answers, 0 to 100, grouped by picture and question -> one comparison of all answers of a group.

    The rows are read twice, so that only their texts are held: first to know the groups, then to make each where its first row
    stands. Judgements of two answers, which the same file has, are comparisons of their own.
    """

    columns: ClassVar[Mapping[str, str]] = COLUMNS

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """The rows; the first of each group has all of its answers and scores as `group`, the others None."""
        groups: dict[tuple[str, str], list[tuple[str, float]]] = {}
        for _, row in super().rows():
            if key := _group(row):
                groups.setdefault(key, []).append(read_single(row)[1:])
        self.rows_in_files = 0  # counted by the second reading
        for where, row in super().rows():
            key = _group(row)
            yield where, row | {"group": groups.pop(key, None)} if key else row

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """All answers of a group, or both of a judgement of two."""
        if "group" not in row:
            return LLaVACritic.comparison(self, row, where)
        if row["group"] is None:
            return Dropped("joined with the first row of its group")
        if len(row["group"]) < 2:
            return Dropped("the only answer to its question")
        responses, scores = rated(*zip(*row["group"], strict=True))
        if fault := rating_fault(scores, keep_ties=self.keep_ties):
            return Dropped(fault)
        record = {"prompt": read_single(row)[0], "responses": responses, "scores": scores, "images": [row["image"]]}
        return self.parse(record | {"id": str(row["id"]), "category": str(row.get("source") or "")}, where)


def judge_texts(row: Mapping) -> tuple[str, str] | Dropped:
    """What the judge was asked and what it said, without the marker of the picture."""
    turns = [plain_turn(turn) for turn in row["conversations"]]
    if [role for role, _ in turns] != ["user", "assistant"]:
        return UNKNOWN_FORM
    return turns[0][1].replace(MARKER, "").strip(), turns[1][1]


def read_single(row: Mapping) -> tuple[str, str, float] | None:
    """(question, answer, score from 0 to 100) of a judgement of one answer; None for anything else."""
    texts = judge_texts(row)
    if isinstance(texts, Dropped) or not isinstance(read_verdict(*texts), Dropped):
        return None
    found, scores = _SINGLE.search(texts[0]) or _CAPTION.search(texts[0]), _SCORE.findall(texts[1])
    score = number(scores[-1]) if scores else None
    if found is None or score is None or score > _MAX_SCORE:
        return None
    return found.groupdict().get("question", CAPTION_QUESTION).strip(), found["answer"].strip(), score


def _group(row: Mapping | Problem) -> tuple[str, str] | None:
    """What the answers of one group share; None for a row that is in no group."""
    single = None if isinstance(row, Problem) else read_single(row)
    return (_picture(row["image"]), single[0]) if single else None


def _picture(image: object) -> str:
    content = image.get("bytes") or image.get("path") if isinstance(image, Mapping) else image
    return image_key(content)
