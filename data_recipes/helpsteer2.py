"""HelpSteer2's ratings: consecutive rows of one prompt, five attributes from 0 to 4 each -> one comparison."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from basereward.errors import ConfigError, near_matches
from basereward.problems import Notes, Problem, shown
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import number, rated, rating_fault, text_prompt_fault

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_TURN = re.compile(r"\s*<extra_id_1>(User|Assistant)\s*\n")
_ROLES = {"User": "user", "Assistant": "assistant"}


class HelpSteer2(Recipe):
    """The score of an answer is the weighted sum of its attributes.

    Args:
        path: file or folder, as in `Recipe`.
        weights: attribute -> weight; an attribute that is not named has none.
        options: as in `Recipe`.
    """

    columns = {"prompt": "text", "response": "text"} | dict.fromkeys(ATTRIBUTES, "whole number")

    def __init__(self, path: str | os.PathLike | None = None, *, weights: Mapping[str, float], **options: Any) -> None:
        super().__init__(path, **options)
        for name, weight in weights.items():
            if name not in ATTRIBUTES:
                raise ConfigError(f"weights.{name}: no such attribute; {near_matches(str(name), ATTRIBUTES)}")
            if number(weight) is None:
                raise ConfigError(f"weights.{name}: expected a finite number; found {weight!r}; 0 leaves the attribute out")
        if not any(weights.values()):
            raise ConfigError("weights: expected at least one that is not 0; found none; helpfulness: 1 is the simplest")
        self.weights = dict(weights)

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """Consecutive rows with the same prompt as one: {prompt, answers: [row, ...]}, where the first of them stands."""
        for (is_row, _), group in itertools.groupby(super().rows(), key=_prompt_key):
            rows = list(group)
            if is_row:
                yield rows[0][0], {"prompt": rows[0][1].get("prompt"), "answers": [row for _, row in rows]}
            else:
                yield from rows

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The answers of one prompt, better first or not, with their scores."""
        answers = row["answers"]
        scores = [self._score(answer, where) for answer in answers]
        messages = prompt_turns(row["prompt"])
        responses, scores = rated([answer.get("response") for answer in answers], scores)
        if fault := text_prompt_fault(messages) or rating_fault(scores, keep_ties=self.keep_ties):
            return Dropped(fault)
        return self.parse({"messages": messages, "responses": responses, "scores": scores}, where)

    def _score(self, answer: Mapping, where: str) -> float:
        values = {name: number(answer.get(name)) for name in self.weights}
        notes = Notes(where)
        for name in [name for name, value in values.items() if value is None]:
            notes.add("rating not a number", f"`{name}` from 0 to 4", shown(answer.get(name)), "drop the row")
        notes.raise_if_any()
        return sum(self.weights[name] * value for name, value in values.items())


def prompt_turns(prompt: object) -> list[dict]:
    """A prompt of several turns -> messages; its first turn has no marker, the others begin with <extra_id_1>.

    >>> prompt_turns("Hi<extra_id_1>Assistant\\nHello<extra_id_1>User\\nBye")[1:]
    [{'role': 'assistant', 'content': 'Hello'}, {'role': 'user', 'content': 'Bye'}]
    """
    first, *rest = _TURN.split(prompt if isinstance(prompt, str) else "")
    turns = [{"role": _ROLES[name], "content": text} for name, text in zip(rest[::2], rest[1::2], strict=True)]
    return [{"role": "user", "content": first}, *turns]


def _prompt_key(item: tuple[str, Mapping | Problem]) -> tuple[bool, object]:
    """Rows group by prompt, apart from rows that cannot be read."""
    _, row = item
    return (False, None) if isinstance(row, Problem) else (True, row.get("prompt"))
