"""RLHF-V: a picture, and a JSON string with the question and both answers -> a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from basereward.nested import json_object
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import pair_fault, question_fault

_KEPT = ("ds_name", "origin_dataset", "image_path")


class RLHFV(Recipe):
    """People corrected the parts of an answer that the picture does not show: both answers agree in most of their words."""

    columns: ClassVar[Mapping[str, str]] = {"image": "image", "text": "text"}

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair in the column `text`."""
        fields = json_object(row["text"])
        if fields is None:
            return Dropped("text is not a JSON object")
        if fault := question_fault(fields.get("question"), 1):
            return Dropped(fault)
        if fault := pair_fault(fields.get("chosen"), fields.get("rejected")):
            return Dropped(fault)
        meta = {key: row[key] for key in _KEPT if row.get(key) is not None}
        meta["origin_split"] = json_object(row.get("origin_split")) or {}
        record = {"prompt": fields["question"], "chosen": fields["chosen"], "rejected": fields["rejected"]}
        record |= {"images": [row["image"]], "meta": meta}
        return self.parse(record | ({"id": f"rlhf-v-{row['idx']}"} if row.get("idx") is not None else {}), where)
