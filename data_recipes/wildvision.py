"""WildVision-Battle: two models' conversations about a picture and a user's vote -> a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import pair_fault
from basereward.turns import plain_turn

TIES = ("tie", "tie (bothbad)", "bothbad")
_KEPT = ("model_a", "model_b", "judge", "turn", "anony", "winner")


class WildVision(Recipe):
    """The vote is about the whole conversation, so the answers are the last ones, and all before them has to be the same.

    Of a battle with several turns the models' earlier answers differ almost always; such a row has two prompts and is dropped.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "conversation_a": "list of {role, content}",
        "conversation_b": "list of {role, content}",
        "winner": "text",
        "image": "image",
    }

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The winner's last answer over the other's."""
        first, second = row["conversation_a"], row["conversation_b"]
        if not (_ends_with_answer(first) and _ends_with_answer(second)):
            return Dropped("a conversation does not end with an answer")
        if [plain_turn(turn) for turn in first[:-1]] != [plain_turn(turn) for turn in second[:-1]]:
            return Dropped("earlier answers differ")
        if row["winner"] not in (*TIES, "model_a", "model_b"):
            return Dropped("no vote")
        answers = [plain_turn(talk[-1])[1] for talk in (first, second)]
        if fault := pair_fault(*answers):
            return Dropped(fault)
        if row["winner"] in TIES and not self.keep_ties:
            return Dropped("tie")
        record = {"messages": list(first[:-1]), "images": [row["image"]]} | _preference(row["winner"], answers)
        record["meta"] = {key: row[key] for key in _KEPT if row.get(key) is not None}
        for key, name in (("id", "question_id"), ("category", "domain")):
            record |= {key: str(row[name])} if row.get(name) is not None else {}
        return self.parse(record, where)


def _preference(winner: str, answers: list[str]) -> dict:
    if winner in TIES:
        return {"responses": answers, "ranks": [0, 0]}
    better, worse = answers if winner == "model_a" else reversed(answers)
    return {"chosen": better, "rejected": worse}


def _ends_with_answer(conversation: object) -> bool:
    return isinstance(conversation, list) and len(conversation) > 1 and plain_turn(conversation[-1])[0] == "assistant"
