"""Two answers and a whole number from -3 (the first is much better) to 3 (the second) -> a pair; the base of HelpSteer's sets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from basereward.problems import Notes, shown
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import ALL_TIED, number, pair_fault, text_prompt_fault

STRONGEST = 3
NO_PREFERENCE = Dropped("no preference from -3 to 3")


class SignedPreference(Recipe):
    """Negative prefers the first answer, positive the second, 0 neither.

    Args:
        path: file or folder, as in `Recipe`.
        margin_per_step: a pair's margin for each step of preference, so that "much better" asks for three times as much distance
            as "slightly better"; 0 gives no margins.
        options: as in `Recipe`.
    """

    def __init__(self, path: str | os.PathLike | None = None, *, margin_per_step: float = 0.0, **options: Any) -> None:
        super().__init__(path, **options)
        self.margin_per_step = margin_per_step

    def pair(
        self, prompt: object, answers: Sequence[object], preference: object, where: str, about: Mapping
    ) -> Comparison | Dropped:
        """The comparison of two answers.

        Args:
            prompt: messages with `role` and `content`.
            answers: the first and the second.
            preference: from -3 to 3; a number outside, as annotators who disagree leave it, drops the row.
            where: `file:line`.
            about: `category` and `meta` of the record.

        Raises:
            RowError: the prompt is no list of messages.
        """
        if not isinstance(prompt, list | tuple):
            notes = Notes(where)
            notes.add("wrong type", "the prompt to be a list of messages", shown(prompt), "use recipe=custom for records")
            notes.raise_if_any()
        strength = number(preference)
        if strength is None or abs(strength) > STRONGEST:
            return NO_PREFERENCE
        if fault := text_prompt_fault(prompt) or pair_fault(*answers):
            return Dropped(fault)
        if strength == 0 and not self.keep_ties:
            return Dropped(ALL_TIED)
        ranks = [int(strength > 0), int(strength < 0)]
        margin = {"margin": self.margin_per_step * abs(strength)} if self.margin_per_step else {}
        record = {"messages": list(prompt), "responses": list(answers), "ranks": ranks}
        about = {key: value for key, value in about.items() if value}
        return self.parse(record | margin | about, where)
