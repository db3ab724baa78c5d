"""HelpSteer2's preferences: a prompt, two answers, and a strength from -3 to 3 -> a pair."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from basereward.data_recipes.helpsteer2 import prompt_turns
from basereward.data_recipes.signed_preference import SignedPreference

from basereward.errors import ConfigError, near_matches
from basereward.recipes import Dropped
from basereward.records import Comparison

PARTS = ("train", "val")
OTHER_PART = Dropped("of another part")


class HelpSteer2Preference(SignedPreference):
    """One file holds both parts, and says in its column `split` which a row belongs to.

    Args:
        path: file or folder, as in `Recipe`.
        part: train or val; null takes both.
        options: as in `SignedPreference`.
    """

    columns = {
        "prompt": "text",
        "response_1": "text",
        "response_2": "text",
        "preference_strength": "whole number",
        "split": "text",
    }
    repository_files = "preference/preference.jsonl*"

    def __init__(self, path: str | os.PathLike | None = None, *, part: str | None = "train", **options: Any) -> None:
        super().__init__(path, **options)
        if part is not None and part not in PARTS:
            raise ConfigError(f"part: expected train, val or null; found {part!r}; {near_matches(str(part), PARTS)}")
        self.part = part

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The prompt's turns, both answers and the sign of the strength."""
        if self.part is not None and row.get("split") != self.part:
            return OTHER_PART
        answers = (row.get("response_1"), row.get("response_2"))
        return self.pair(prompt_turns(row.get("prompt")), answers, row.get("preference_strength"), where, {})
