"""OmniAlign-V-DPO: a picture's path, a prompt and two answers -> a pair."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from basereward.data_recipes.pictures_apart import PicturesApart

from basereward.recipes import Dropped
from basereward.records import Comparison
from basereward.screening import EMPTY_PROMPT, pair_fault
from basereward.turns import MARKER


class OmniAlignV(PicturesApart):
    """The better answer is the data set's own, the worse one was sampled from a smaller model and picked by a judge.

    As in the authors' training code, markers in the prompt are taken out and the picture stands first. The file's name
    (knowledge, ins_follow, creation, chart, diagram, poster) is the category.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "image": "text or list of text",
        "prompt": "text",
        "chosen": "text",
        "rejected": "text",
    }

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair of a row."""
        prompt = row["prompt"].replace(MARKER, "").strip() if isinstance(row["prompt"], str) else ""
        if not prompt:
            return Dropped(EMPTY_PROMPT)
        if fault := pair_fault(row["chosen"], row["rejected"]):
            return Dropped(fault)
        images = row["image"] if isinstance(row["image"], list) else [row["image"]]
        record = {"prompt": prompt, "chosen": row["chosen"], "rejected": row["rejected"], "images": images}
        record["category"] = os.path.basename(where.rpartition(":")[0]).partition(".")[0]
        return self.parse(record | ({"id": str(row["id"])} if row.get("id") is not None else {}), where)
