"""NeMo-Aligner's reward model files: consecutive rows, the better answer and then the worse, each a whole conversation as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from basereward.problems import Notes, Problem, shown
from basereward.recipes import Recipe
from basereward.records import Comparison

_TURN = re.compile(r"<extra_id_[01]>(System|User|Assistant)\n")
_END = "<extra_id_2>"
_ROLES = {"System": "system", "User": "user", "Assistant": "assistant"}


class NeMoRM(Recipe):
    """Rows 1 and 2 are a pair, rows 3 and 4 the next; the place says which is better, not the attributes in `label`."""

    columns = {"text": "text"}

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """Two rows at a time, named after the first; a line that cannot be read takes its partner with it."""
        rows = super().rows()
        for where, better in rows:
            place, worse = next(rows, (where, None))
            if isinstance(better, Problem):
                yield where, better
            elif isinstance(worse, Problem):
                yield place, worse
            elif worse is None:
                yield (
                    where,
                    Problem("row without a partner", where, "", "a row with the worse answer", "the file's end", "add it"),
                )
            else:
                yield where, {"better": better, "worse": worse}

    def comparison(self, row: Mapping, where: str) -> Comparison:
        """The shared turns as the prompt, the two last ones as answers."""
        notes = Notes(where)
        better, worse = (_turns(row[side].get("text"), notes) for side in ("better", "worse"))
        notes.raise_if_any()
        if better[:-1] != worse[:-1]:
            expected = "two consecutive rows with the same prompt"
            notes.add("prompts differ", expected, shown(worse[-2]["content"]), "look for a row that is missing before it")
            notes.raise_if_any()
        labels = {side: row[side]["label"] for side in ("better", "worse") if row[side].get("label") is not None}
        record = {"messages": better[:-1], "chosen": better[-1]["content"], "rejected": worse[-1]["content"]}
        return self.parse(record | ({"meta": {"labels": labels}} if labels else {}), where)


def _turns(text: object, notes: Notes) -> list[dict]:
    """A conversation as text -> messages, the last of them the answer; an empty system turn is none.

    >>> _turns("<extra_id_0>System\\n\\n<extra_id_1>User\\nHi\\n<extra_id_1>Assistant\\nHello\\n<extra_id_2>", Notes(""))
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    """
    pieces = _TURN.split(text) if isinstance(text, str) else [""]
    said = [piece.removesuffix(_END).strip("\n") for piece in pieces[2::2]]
    turns = [{"role": _ROLES[name], "content": content} for name, content in zip(pieces[1::2], said, strict=True)]
    turns = [turn for turn in turns if turn["content"] or turn["role"] != "system"]
    if len(turns) < 2 or turns[-1]["role"] != "assistant" or pieces[0]:
        notes.add("not a conversation", "turns that begin with <extra_id_1>User or Assistant", shown(text), "correct the row")
    return turns
