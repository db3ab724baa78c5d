"""MM-RLHF's `data.jsonl`: three to five answers to a question, rated by people on several aspects -> one comparison of N."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from basereward.data_recipes.mm_rlhf import MMRLHF

from basereward.recipes import Dropped
from basereward.records import Comparison
from basereward.screening import number, rated, rating_fault

ASPECTS = ("faithfulness", "helpfulness", "ethical")


class MMRLHFRankings(MMRLHF):
    """The score of an answer is the mean of its ratings on the aspects that the row has.

    The file's own ranking is not used: whether a number is an answer's rank or an answer at that rank was not verified.
    """

    columns: ClassVar[Mapping[str, str]] = {"question": "text", "models_output": "list of text"}
    repository_files: ClassVar[str | None] = "data.jsonl"

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """All rated answers of a row."""
        answers = row["models_output"]
        given = [row[aspect] for aspect in ASPECTS if isinstance(row.get(aspect), list) and len(row[aspect]) == len(answers)]
        if not given:
            return Dropped("no ratings")
        responses, scores = rated(answers, [_mean(ratings) for ratings in zip(*given, strict=True)])
        if fault := rating_fault(scores, keep_ties=self.keep_ties):
            return Dropped(fault)
        return self.asked(row["question"], row, {"responses": responses, "scores": scores}, where)


def _mean(ratings: Sequence[object]) -> float | None:
    """None when one is no number: a mean of the rest would favour the answer whose weakest aspect was not rated."""
    numbers = [number(rating) for rating in ratings]
    return None if None in numbers else sum(numbers) / len(numbers)
