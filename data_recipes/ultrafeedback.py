"""UltraFeedback: an instruction and four rated completions -> one comparison of them all, or of the two furthest apart."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basereward.errors import ConfigError, near_matches
from basereward.problems import Notes, Problem, counted, shown
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import mean_number, number, rated, rating_fault, text_prompt_fault

SCORES = ("overall", "aspects")
PAIRS = ("all", "widest")
# The releases before December 2023 wrote 10 for a judge's 1. Their authors set those with a mean of the aspects up to 2 right,
# and kept those above 4: github.com/OpenBMB/UltraFeedback, README, "Update" of 2023/12/29, and its issue 8.
TEN, ONE, LOW_ASPECTS = 10.0, 1.0, 2.0


class UltraFeedback(Recipe):
    """A completion is {model, response, annotations: {aspect: {Rating, ...}}, overall_score, fine-grained_score, ...}.

    Args:
        path: file or folder, as in `Recipe`.
        score: overall takes `overall_score`, 1 to 10; aspects takes the mean of the aspects' ratings, 1 to 5, where "N/A" counts
            for nothing.
        pairs: all makes one comparison of all completions with a score; widest makes one of the two with the largest gap.
        options: as in `Recipe`.
    """

    columns = {"instruction": "text", "completions": "list of {response, annotations, overall_score}"}

    def __init__(
        self, path: str | os.PathLike | None = None, *, score: str = "overall", pairs: str = "all", **options: Any
    ) -> None:
        super().__init__(path, **options)
        for key, value, known in (("score", score, SCORES), ("pairs", pairs, PAIRS)):
            if value not in known:
                raise ConfigError(f"{key}: expected {' or '.join(known)}; found {value!r}; {near_matches(str(value), known)}")
        self.score, self.pairs = score, pairs
        self.counts: Counter[str] = Counter()

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """As in `Recipe`; scores that are set right are counted anew."""
        self.counts.clear()
        return super().rows()

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The completions that have a text and a score; the same text twice counts once."""
        completions = self._completions(row, where)
        responses, scores = rated([item.get("response") for item in completions], [self._score(item) for item in completions])
        fault = text_prompt_fault(row["instruction"])
        if fault := fault or rating_fault(scores, keep_ties=self.keep_ties and self.pairs == "all"):
            return Dropped(fault)
        if self.pairs == "widest":
            responses, scores = widest_pair(responses, scores)
        record = {"prompt": row["instruction"], "responses": responses, "scores": scores, "category": row.get("source")}
        return self.parse(record, where)

    def notes(self) -> list[str]:
        """How many scores were set right."""
        repaired = self.counts["repaired"]
        return [f"{counted(repaired, 'overall_score')} of 10 with low ratings read as 1"] if repaired else []

    def _completions(self, row: Mapping, where: str) -> list[Mapping]:
        notes = Notes(where)
        completions = row.get("completions")
        if not isinstance(row.get("instruction"), str):
            notes.add("wrong type", "`instruction` to be a text", shown(row.get("instruction")), "drop the row")
        if not isinstance(completions, list | tuple) or not all(isinstance(item, Mapping) for item in completions):
            notes.add("wrong type", "`completions` to be a list of objects", shown(completions), "drop the row")
        notes.raise_if_any()
        return list(completions)

    def _score(self, completion: Mapping) -> float | None:
        aspects = mean_number([(aspect or {}).get("Rating") for aspect in (completion.get("annotations") or {}).values()])
        if self.score == "aspects":
            return aspects
        overall = number(completion.get("overall_score"))
        if overall == TEN and aspects is not None and aspects <= LOW_ASPECTS:
            self.counts["repaired"] += 1
            return ONE
        return overall


def widest_pair(responses: Sequence[str], scores: Sequence[float]) -> tuple[list[str], list[float]]:
    """The best and the worst of N responses, and their scores.

    Among equals a hash of the text decides: completions stand in the order of their models' names, which must not.

    >>> widest_pair(["a", "b", "c"], [2.0, 5.0, 1.0])
    (['b', 'c'], [5.0, 1.0])
    """
    drawn = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in responses]
    order = sorted(range(len(scores)), key=lambda index: (scores[index], drawn[index]))
    return [responses[order[-1]], responses[order[0]]], [scores[order[-1]], scores[order[0]]]
