"""JudgeBench: a question, two answers of one model of which one is correct, and the label "A>B" or "B>A"."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from basereward.data_recipes.equal_answers import always_tied

from basereward.problems import Notes, shown
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import SAME_ANSWERS, pair_fault

LABELS = {"A>B": [0, 1], "B>A": [1, 0]}
# The beginning of `source` -> the benchmark's category.
CATEGORIES = {
    "mmlu-pro": "knowledge",
    "livebench-reasoning": "reasoning",
    "livebench-math": "math",
    "livecodebench": "coding",
}


class JudgeBench(Recipe):
    """Ranks from the label; the answers stay in the order A, B.

    Args:
        path: as in `Recipe`.
        keep_equal: a row whose answers are the same text becomes a comparison that is always tied; otherwise it is dropped.
        options: as in `Recipe`.
    """

    columns = {
        "pair_id": "text",
        "source": "text",
        "question": "text",
        "response_A": "text",
        "response_B": "text",
        "label": "text",
    }

    def __init__(self, path: str | os.PathLike | None = None, *, keep_equal: bool = False, **options: Any) -> None:
        super().__init__(path, **options)
        self.keep_equal = keep_equal

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """Both answers, ranked."""
        notes = Notes(where, str(row["pair_id"]))
        if row["label"] not in LABELS:
            notes.add("unknown label", f"`label` to be {' or '.join(LABELS)}", shown(row["label"]), "correct or drop the row")
        category = next((name for start, name in CATEGORIES.items() if str(row["source"]).startswith(start)), None)
        if category is None:
            expected = f"`source` to begin with one of {', '.join(CATEGORIES)}"
            notes.add("unknown source", expected, shown(row["source"]), "correct or drop the row")
        notes.raise_if_any()
        answers = [row["response_A"], row["response_B"]]
        fault = pair_fault(*answers)
        if fault and not (self.keep_equal and fault == SAME_ANSWERS):
            return Dropped(fault)
        record = {
            "id": row["pair_id"],
            "prompt": row["question"],
            "responses": answers,
            "ranks": LABELS[row["label"]],
            "category": category,
            "meta": {key: row[key] for key in ("source", "response_model", "original_id") if row.get(key) is not None},
        }
        return always_tied(self.parse, record, answers, where) if fault else self.parse(record, where)
