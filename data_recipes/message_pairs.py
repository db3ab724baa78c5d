"""Two whole conversations, chosen and rejected, that differ in their last message -> a pair; the base of several text sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from basereward.problems import Notes, shown
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import ALL_TIED, number, pair_fault, text_prompt_fault

PROMPTS_DIFFER = Dropped("the prompts of chosen and rejected differ")
NO_ANSWER = Dropped("a conversation without an answer at its end")


class MessagePairs(Recipe):
    """`chosen` and `rejected` are lists of {role, content}: the prompt's messages and then the answer.

    A `prompt` column beside them repeats one of the user's turns (its last, in most rows), so it is not read. Subclasses say
    which columns hold an id, the set that a row came from, and ratings.
    """

    id_column: ClassVar[str] = ""
    """Empty where rows have no id: the file's name and the row's number make one."""
    category_column: ClassVar[str] = ""
    rating_columns: ClassVar[tuple[str, str] | tuple[()]] = ()
    """Of chosen and rejected. Equal numbers are a tie; a missing one says nothing, and the choice stands."""
    meta_columns: ClassVar[tuple[str, ...]] = ()

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The shared turns as the prompt, the two last messages as the answers."""
        chosen, rejected = self._conversations(row, where)
        if any(len(turns) < 2 or turns[-1].get("role") != "assistant" for turns in (chosen, rejected)):
            return NO_ANSWER
        prompt, answers = chosen[:-1], [turns[-1].get("content") for turns in (chosen, rejected)]
        if [_said(turn) for turn in prompt] != [_said(turn) for turn in rejected[:-1]]:
            return PROMPTS_DIFFER
        if fault := text_prompt_fault(prompt) or pair_fault(*answers):
            return Dropped(fault)
        ratings = [number(row.get(column)) for column in self.rating_columns]
        is_tied = bool(ratings) and ratings[0] is not None and ratings[0] == ratings[1]
        if is_tied and not self.keep_ties:
            return Dropped(ALL_TIED)
        order = {"responses": answers, "ranks": [0, 0]} if is_tied else {"chosen": answers[0], "rejected": answers[1]}
        return self.parse({"messages": prompt} | order | self._about(row), where)

    def _conversations(self, row: Mapping, where: str) -> tuple[list[Mapping], list[Mapping]]:
        notes = Notes(where, str(row.get(self.id_column, "")))
        for key in ("chosen", "rejected"):
            turns = row.get(key)
            if not isinstance(turns, list | tuple) or not all(isinstance(turn, Mapping) for turn in turns):
                expected = f"`{key}` to be a list of messages with role and content"
                notes.add("not a conversation", expected, shown(turns), "use recipe=custom for records")
        notes.raise_if_any()
        return list(row["chosen"]), list(row["rejected"])

    def _about(self, row: Mapping) -> dict:
        """Id, category and what else is kept of a row, without what is missing."""
        about = {"id": row.get(self.id_column), "category": row.get(self.category_column)}
        meta = {key: row[key] for key in (*self.rating_columns, *self.meta_columns) if row.get(key) is not None}
        return {key: value for key, value in about.items() if value} | ({"meta": meta} if meta else {})


def _said(turn: Mapping) -> tuple[object, object]:
    return turn.get("role"), turn.get("content")
