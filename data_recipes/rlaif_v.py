"""RLAIF-V: one picture, a question and two answers in flat columns -> a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from basereward.nested import json_object
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import pair_fault, question_fault

# What describes a row and is kept with it; the rest is in the comparison itself.
_KEPT = ("ds_name", "origin_dataset", "image_path")


class RLAIFV(Recipe):
    """The question has no marker: the picture stands before it. `origin_split` is JSON that says who wrote and who judged.

    Many rows share a picture and a question and differ in their answers; they stay one pair each.
    """

    repository_files: ClassVar[str | None] = "RLAIF-V-Dataset_*.parquet"
    columns: ClassVar[Mapping[str, str]] = {"image": "image", "question": "text", "chosen": "text", "rejected": "text"}

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair of a row."""
        if fault := question_fault(row["question"], 1):
            return Dropped(fault)
        if fault := pair_fault(row["chosen"], row["rejected"]):
            return Dropped(fault)
        origin = json_object(row.get("origin_split")) or {}
        meta = {key: row[key] for key in _KEPT if row.get(key) is not None} | {"origin_split": origin}
        record = {
            "prompt": row["question"],
            "chosen": row["chosen"],
            "rejected": row["rejected"],
            "images": [row["image"]],
            "category": str(origin.get("type", "")),
            "meta": meta,
        }
        return self.parse(record | ({"id": f"rlaif-v-{row['idx']}"} if row.get("idx") is not None else {}), where)
