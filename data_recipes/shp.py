"""Stanford Human Preferences: a Reddit post and two comments, the preferred of which is younger and has more votes -> a pair."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from basereward.problems import Notes, shown
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import number, pair_fault, text_prompt_fault

WEAK = Dropped("score ratio below the least")
REMOVED = Dropped("a comment was removed")
_REMOVED_TEXTS = ("[removed]", "[deleted]")


class SHP(Recipe):
    """`labels` is 1 where comment A is preferred, 0 where comment B is.

    Rows stay pairs: a post has many, but the votes of two comments say something only where the younger has more of them, so
    they give no order of all its comments.

    Args:
        path: file or folder, as in `Recipe`.
        min_score_ratio: drops pairs whose preferred comment has fewer than so many times the votes of the other; the dataset's
            card advises 2 for a stronger signal.
        options: as in `Recipe`.
    """

    columns = {"history": "text", "human_ref_A": "text", "human_ref_B": "text", "labels": "whole number", "score_ratio": "number"}
    repository_files = "{subset}/{split}.json"

    def __init__(self, path: str | os.PathLike | None = None, *, min_score_ratio: float = 1.0, **options: Any) -> None:
        super().__init__(path, **options)
        self.min_score_ratio = min_score_ratio

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The post as the prompt, both comments in the order given."""
        label = row.get("labels")
        if label not in (0, 1) or isinstance(label, bool):
            notes = Notes(where, str(row.get("post_id", "")))
            notes.add("unknown label", "`labels` to be 1 (A is preferred) or 0 (B is)", shown(label), "drop the row")
            notes.raise_if_any()
        answers = [row.get("human_ref_A"), row.get("human_ref_B")]
        if fault := text_prompt_fault(row.get("history")) or pair_fault(*answers):
            return Dropped(fault)
        if any(answer.strip() in _REMOVED_TEXTS for answer in answers):
            return REMOVED
        if (number(row.get("score_ratio")) or 1.0) < self.min_score_ratio:
            return WEAK
        record = {"prompt": row["history"], "responses": answers, "ranks": [1 - int(label), int(label)]}
        return self.parse(record | _about(row), where)


def _about(row: Mapping) -> dict:
    """Id from the post and both comments, category from the domain without its split: askculinary_train -> askculinary."""
    names = [str(row[key]) for key in ("post_id", "c_root_id_A", "c_root_id_B") if row.get(key)]
    about = {"id": "-".join(names), "category": str(row.get("domain", "")).rpartition("_")[0]}
    meta = {key: row[key] for key in ("score_ratio", "seconds_difference") if row.get(key) is not None}
    return {key: value for key, value in about.items() if value} | {"meta": meta}
