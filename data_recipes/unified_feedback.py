"""Unified-Feedback: eight public preference sets as two conversations with a rating each -> pairs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from basereward.data_recipes.message_pairs import MessagePairs

from basereward.recipes import Dropped
from basereward.records import Comparison
from basereward.screening import ALL_TIED, number

UNRATED = Dropped("a rating is no number")


class UnifiedFeedback(MessagePairs):
    """The conversation with the higher rating is the chosen one.

    Args:
        path: file or folder, as in `Recipe`.
        summary_instruction: put before the post in rows from summarize_from_feedback, whose prompts are the bare posts.
        options: as in `Recipe`.
    """

    columns = {
        "conv_A": "list of {role, content}",
        "conv_B": "list of {role, content}",
        "conv_A_rating": "number",
        "conv_B_rating": "number",
    }
    id_column = "id"
    category_column = "source"

    def __init__(self, path: str | os.PathLike | None = None, *, summary_instruction: str, **options: Any) -> None:
        super().__init__(path, **options)
        self.summary_instruction = summary_instruction

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair that the two ratings make."""
        first, second = number(row.get("conv_A_rating")), number(row.get("conv_B_rating"))
        if first is None or second is None:
            return UNRATED
        if first == second:
            return Dropped(ALL_TIED)
        better, worse = ("conv_A", "conv_B") if first > second else ("conv_B", "conv_A")
        pair = {"chosen": row.get(better), "rejected": row.get(worse)}
        if "summarize" in str(row.get("source", "")):
            pair = {key: self._with_instruction(turns) for key, turns in pair.items()}
        return super().comparison(dict(row) | pair, where)

    def _with_instruction(self, turns: object) -> object:
        if not isinstance(turns, list | tuple) or not turns or not isinstance(turns[0], Mapping):
            return turns
        first = dict(turns[0]) | {"content": f"{self.summary_instruction}\n\n{turns[0].get('content')}"}
        return [first, *turns[1:]]
