"""LLaVA-Bench (in the wild) with a judge's review of two answers: four files, joined by question -> comparisons with scores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from basereward.problems import Notes, Problem, shown
from basereward.reading import read_file
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison


class LLaVABenchReviews(Recipe):
    """A row is a review, with its question and both answers beside it; equal scores are dropped.

    Answers are stripped: the second model's begin with a space, which would tell the two apart.

    Args:
        path: folder of the four files.
        reviews: judge's texts with `tuple` = [score of the first answer, score of the second].
        questions, first_answers, second_answers: joined by `question_id`; the answer ids of the reviews do not all match.
        image_root: folder of the pictures 001.jpg to 024.jpg; text only when None.
        source, card: as in `Recipe`.
    """

    columns = {"question_id": "whole number", "content": "text", "tuple": "list of number"}

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        reviews: str,
        questions: str,
        first_answers: str,
        second_answers: str,
        image_root: str | os.PathLike | None = None,
        source: str = "",
        card: Mapping | None = None,
    ) -> None:
        super().__init__(path, image_root=image_root, source=source, card=card)
        self.names = (reviews, questions, first_answers, second_answers)

    def files(self) -> list[Path]:
        """The reviews, the questions, and the answers of both models."""
        return [Path(self.path) / name for name in self.names]

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """One row for each review."""
        reviews, *others = self.files()
        questions, first, second = ({row["question_id"]: row for _, row in read_file(file)} for file in others)
        for where, review in self.checked(read_file(reviews)):
            if isinstance(review, Problem):
                yield where, review
                continue
            key = review.get("question_id")
            yield where, {"review": review, "question": questions.get(key), "first": first.get(key), "second": second.get(key)}

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """Both answers with the judge's scores."""
        review, question = row["review"], row["question"]
        self._check(row, where)
        if review["tuple"][0] == review["tuple"][1]:
            return Dropped("the judge scored both answers the same")
        record = {
            "id": f"llava-bench-{review['question_id']}",
            "prompt": question["text"],
            "responses": [row["first"]["text"].strip(), row["second"]["text"].strip()],
            "scores": review["tuple"],
            "category": question["category"],
            "meta": {"image_file": question["image"], "image_included": self.image_root is not None},
        }
        return self.parse(record | ({"images": [question["image"]]} if self.image_root is not None else {}), where)

    def notes(self) -> list[str]:
        """Says when the pictures are missing."""
        return [] if self.image_root is not None else ["text only: the questions are about pictures that are not included"]

    def _check(self, row: Mapping, where: str) -> None:
        """All four parts are there, and the judge's text begins with the numbers that stand in `tuple`."""
        review = row["review"]
        notes = Notes(where, str(review.get("question_id", "")))
        for part in ("question", "first", "second"):
            if row[part] is None:
                notes.add("missing part", f"a {part} row with this question_id", "none", "complete the files")
        scores, text = review.get("tuple"), str(review.get("content"))
        if not isinstance(scores, list) or len(scores) != 2 or _numbers(text) != scores:
            expected = f"`tuple` to be the two numbers that the text begins with, {shown(text.split(chr(10), 1)[0])}"
            notes.add("judge contradicts", expected, shown(scores), "drop the review")
        notes.raise_if_any()


def _numbers(text: str) -> list[float] | None:
    """The two numbers on the first line of a judge's text.

    >>> _numbers("9 7.5\\nBoth answers are good.")
    [9.0, 7.5]
    """
    try:
        return [float(word) for word in text.split("\n", 1)[0].replace(",", " ").split()]
    except ValueError:
        return None
