"""RewardBench 2: a prompt, correct answers (one, or several in the subset Ties) and wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from basereward.problems import Notes, shown
from basereward.recipes import Recipe
from basereward.records import Comparison

TIES = "Ties"
SUBSETS = ("Factuality", "Precise IF", "Math", "Safety", "Focus", TIES)


class RewardBench2(Recipe):
    """The correct answers first, then the wrong ones; every correct one over every wrong one. Nothing is said within a side."""

    columns = {
        "id": "whole number or text",
        "prompt": "text",
        "chosen": "list of text",
        "rejected": "list of text",
        "subset": "text",
    }

    def comparison(self, row: Mapping, where: str) -> Comparison:
        """All answers of a prompt."""
        notes, (chosen, rejected) = Notes(where, str(row["id"])), (list(row["chosen"]), list(row["rejected"]))
        if row["subset"] not in SUBSETS:
            notes.add(
                "unknown subset", f"`subset` to be one of {', '.join(SUBSETS)}", shown(row["subset"]), "correct or drop the row"
            )
        if not chosen or not rejected or (row["subset"] != TIES and len(chosen) != 1):
            expected = "one correct answer and wrong ones (in Ties several correct ones)"
            notes.add("number of answers", expected, f"{len(chosen)} and {len(rejected)}", "correct or drop the row")
        if row.get("num_correct", len(chosen)) != len(chosen):
            notes.add(
                "number of answers", f"{row['num_correct']} in `chosen`, as `num_correct` says", str(len(chosen)), "correct it"
            )
        kind, _, number = str(row["id"]).partition(":")
        if row["subset"] == TIES and (kind not in ("ref", "tied") or not number):
            notes.add(
                "id of Ties", "`id` to be ref:<number> or tied:<number>, which belong together", shown(row["id"]), "correct it"
            )
        notes.raise_if_any()
        record = {
            "id": f"{row['subset']}-{row['id']}",
            "prompt": row["prompt"],
            "responses": [*chosen, *rejected],
            "ranks": [0] * len(chosen) + [1] * len(rejected),
            "category": row["subset"],
            "meta": {"row_id": str(row["id"]), "num_correct": len(chosen)},
        }
        return replace(self.parse(record, where), ties=(), ranks=None)
