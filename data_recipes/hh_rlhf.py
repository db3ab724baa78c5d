"""Anthropic's hh-rlhf: two transcripts of "Human:" and "Assistant:" turns -> a conversation and its two last answers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from basereward.problems import Notes, shown
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison

_ANSWER = "\n\nAssistant:"
_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


class HHRLHF(Recipe):
    """Cuts both transcripts at the last answer that begins in the part they share.

    A row is dropped when the transcripts diverge before their last answer, since what follows the cut is then more than an
    answer, and when an answer is empty. Spaces around a turn are not part of it.
    """

    columns = {"chosen": "text", "rejected": "text"}
    repository_files = "{subset}/{split}.jsonl.gz"

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The shared turns as the prompt, the rest as two answers."""
        chosen, rejected = self._transcripts(row, where)
        shared = os.path.commonprefix([chosen, rejected])
        cut = shared.rfind(_ANSWER)
        if cut < 0:
            return Dropped("the transcripts share no answer's beginning")
        answers = [text[cut + len(_ANSWER) :].strip() for text in (chosen, rejected)]
        if any(_TURN.search(answer) for answer in answers):
            return Dropped("diverges before the last answer")
        if not all(answers):
            return Dropped("empty answer")
        messages = _turns(shared[:cut])
        return self.parse({"messages": messages, "chosen": answers[0], "rejected": answers[1]}, where)

    def _transcripts(self, row: Mapping, where: str) -> tuple[str, str]:
        notes = Notes(where)
        for key in ("chosen", "rejected"):
            text = row.get(key)
            if not isinstance(text, str) or not text.startswith("\n\nHuman:"):
                notes.add(
                    "not a transcript",
                    f"`{key}` to begin with a blank line and Human:",
                    shown(text),
                    "use recipe=custom for records",
                )
        notes.raise_if_any()
        return row["chosen"], row["rejected"]


def _turns(text: str) -> list[dict]:
    """A transcript -> messages.

    >>> _turns("\\n\\nHuman: Hi\\n\\nAssistant: Hello\\n\\nHuman: Bye")[2]
    {'role': 'user', 'content': 'Bye'}
    """
    pieces = _TURN.split(text)
    return [{"role": _ROLES[name], "content": said.strip()} for name, said in zip(pieces[1::2], pieces[2::2], strict=True)]
