"""R1-Reward-RL: a chat in a JSON string that asks a judge about two answers, and the right verdict -> a pair."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import ClassVar

from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import pair_fault, question_fault
from basereward.turns import MARKER

# Headings of the judge's prompt in the authors' code (github.com/yfzhang114/r1_reward, inference/*/r1_reward.py); the heading of
# the output format ends the second answer and is missing where the prompt was cut.
_PROMPT = re.compile(
    r"\[Question\]:(?P<question>.*?)\n#+ *\[Response 1\]:(?P<first>.*?)\n#+ *\[Response 2\]:(?P<second>.*?)"
    r"(?:\n#+ *\**Output Format.*)?\Z",
    re.DOTALL,
)
_ANSWER = re.compile(r"<answer>\s*([12])\s*</answer>")


class R1RewardRL(Recipe):
    """The answers to compare stand in the judge's prompt; `answer` says which is better. Pictures are base64 in a text column.

    The paths of pictures inside the chat are of the authors' machine and are not read.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "message": "text",
        "answer": "list of text",
        "image": "text",
    }

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair in the judge's prompt."""
        found = _PROMPT.search(_asked(row["message"]))
        if found is None:
            return Dropped("the judge's prompt cannot be read")
        verdicts = {verdict for text in row["answer"] or () for verdict in _ANSWER.findall(str(text))}
        if len(verdicts) != 1:
            return Dropped("no single verdict")
        if not row["image"]:
            return Dropped("image missing")
        question, *answers = (found[name].strip() for name in ("question", "first", "second"))
        question = question.replace(MARKER, "").strip() or str(row.get("question") or "")
        if fault := question_fault(question, 1) or pair_fault(*answers):
            return Dropped(fault)
        better, worse = answers if verdicts == {"1"} else reversed(answers)
        record = {"prompt": question, "chosen": better, "rejected": worse, "images": [picture(row["image"])]}
        return self.parse(record, where)


def _asked(message: object) -> str:
    """The text of the last user turn of a chat in JSON; empty for anything else."""
    try:
        turns = json.loads(message) if isinstance(message, str) else message
        content = next(turn["content"] for turn in reversed(turns) if turn["role"] == "user")
    except (json.JSONDecodeError, TypeError, KeyError, StopIteration):
        return ""
    parts = [{"text": content}] if isinstance(content, str) else content
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def picture(text: str) -> bytes | str:
    """The bytes of a picture written as base64, with or without `data:image/png;base64,`; any other text is a path.

    >>> picture("data:image/png;base64,aGVsbG8="), picture("aGVs\\nbG8="), picture("a/b.jpg")
    (b'hello', b'hello', 'a/b.jpg')
    """
    encoded = text.partition("base64,")[2] or text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        return text
