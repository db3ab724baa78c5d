"""MM-RLHF's `dpo_pairs.jsonl`: pairs of answers about pictures and videos that people ranked -> pairs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from basereward.data_recipes.pictures_apart import PicturesApart

from basereward.errors import ConfigError
from basereward.recipes import Dropped
from basereward.records import Comparison
from basereward.screening import pair_fault, question_fault
from basereward.turns import MARKER

CATEGORIES = ("mcq", "long", "short", "safety", "video")
_KEPT = ("chosen_reason", "rejected_reason", "ls_factor")


class MMRLHF(PicturesApart):
    """A row has `image`, or `video`: a folder of frames, of which a few stand before the question as pictures.

    As in the authors' code, markers in the prompt are taken out. The folder that the path begins with is the category.

    Args:
        path: file or folder, as in `Recipe`.
        num_frames: pictures of a video, evenly spaced; 0 drops rows with a video.
        options: as in `Recipe`.
    """

    columns: ClassVar[Mapping[str, str]] = {"prompt": "text", "chosen": "text", "rejected": "text"}
    repository_files: ClassVar[str | None] = "dpo_pairs.jsonl"

    def __init__(self, path: str | os.PathLike | None = None, *, num_frames: int = 10, **options: Any) -> None:
        super().__init__(path, **options)
        if num_frames < 0:
            raise ConfigError(f"num_frames: expected 0 or more; found {num_frames}; 0 drops rows with a video")
        self.num_frames = num_frames

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair of a row."""
        if fault := pair_fault(row["chosen"], row["rejected"]):
            return Dropped(fault)
        if row.get("is_tie") and not self.keep_ties:
            return Dropped("tie")
        answers = [row["chosen"], row["rejected"]]
        order = {"responses": answers, "ranks": [0, 0]} if row.get("is_tie") else {"chosen": answers[0], "rejected": answers[1]}
        return self.asked(row["prompt"], row, order, where)

    def asked(self, prompt: object, row: Mapping, order: Mapping, where: str) -> Comparison | Dropped:
        """The comparison of a prompt, the picture or video of its row, and its answers."""
        question = prompt.replace(MARKER, "").strip() if isinstance(prompt, str) else prompt
        images = self.pictures(row, where)
        if isinstance(images, Dropped):
            return images
        if fault := question_fault(question, len(images)):
            return Dropped(fault)
        parts = str(row.get("image") or row.get("video")).replace("\\", "/").split("/")
        meta = {key: row[key] for key in _KEPT if row.get(key) is not None}
        record = {"prompt": question, "images": images, "meta": meta}
        record["category"] = next((name for name in CATEGORIES if name in parts), "")
        return self.parse(record | order | ({"id": str(row["id"])} if row.get("id") is not None else {}), where)

    def pictures(self, row: Mapping, where: str) -> list[str] | Dropped:
        """The picture of a row, or frames of its video, relative to the place of the pictures."""
        if row.get("image"):
            return [row["image"]]
        if not row.get("video"):
            return Dropped("no image or video")
        if not self.num_frames:
            return Dropped("video left out")
        return self.frames(row["video"], where, self.num_frames)
