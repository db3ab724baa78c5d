"""MMIF-23k (MM-IFEngine): a conversation, two answers as messages, and image paths -> a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from basereward.data_recipes.pictures_apart import PicturesApart

from basereward.recipes import Dropped
from basereward.records import Comparison
from basereward.screening import pair_fault


class MMIF(PicturesApart):
    """Instructions with constraints; the rows are in the sharegpt ranking form.

    The keys come from one public training script, not from the file: if a copy has others, the check of the first row says so.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "conversations": "list of {from, value}",
        "chosen": "{from, value}",
        "rejected": "{from, value}",
        "images": "list of text",
    }

    repository_files: ClassVar[str | None] = "v2/dpo/*.json"

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair of a row; a marker in the question says where the picture stands, or none and it stands first."""
        texts = [side.get("value") if isinstance(side, Mapping) else side for side in (row["chosen"], row["rejected"])]
        if fault := pair_fault(*texts):
            return Dropped(fault)
        return self.parse(row, where)
