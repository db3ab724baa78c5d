"""JudgeBench: a question, two answers of one model of which one is correct, and the label "A>B" or "B>A"."""

from __future__ import annotations

from collections.abc import Mapping

from basereward.problems import Notes, shown
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import pair_fault

LABELS = {"A>B": [0, 1], "B>A": [1, 0]}
# The beginning of `source` -> the benchmark's category.
CATEGORIES = {
    "mmlu-pro": "knowledge",
    "livebench-reasoning": "reasoning",
    "livebench-math": "math",
    "livecodebench": "coding",
}


class JudgeBench(Recipe):
    """Ranks from the label; the answers stay in the order A, B."""

    columns = {
        "pair_id": "text",
        "source": "text",
        "question": "text",
        "response_A": "text",
        "response_B": "text",
        "label": "text",
    }

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
        if fault := pair_fault(row["response_A"], row["response_B"]):
            return Dropped(fault)
        record = {
            "id": row["pair_id"],
            "prompt": row["question"],
            "responses": [row["response_A"], row["response_B"]],
            "ranks": LABELS[row["label"]],
            "category": category,
            "meta": {key: row[key] for key in ("source", "response_model", "original_id") if row.get(key) is not None},
        }
        return self.parse(record, where)
