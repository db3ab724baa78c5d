"""SPA-VL: one picture, a question and two answers in flat columns, for safety -> a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import pair_fault, question_fault


class SPAVL(Recipe):
    """Preferences for harmless and helpful answers; the pictures and questions are harmful by design."""

    columns: ClassVar[Mapping[str, str]] = {"image": "image", "question": "text", "chosen": "text", "rejected": "text"}

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair of a row."""
        if fault := question_fault(row["question"], 1):
            return Dropped(fault)
        if fault := pair_fault(row["chosen"], row["rejected"]):
            return Dropped(fault)
        record = {"prompt": row["question"], "chosen": row["chosen"], "rejected": row["rejected"], "images": [row["image"]]}
        return self.parse(record | {"category": "safety"}, where)
