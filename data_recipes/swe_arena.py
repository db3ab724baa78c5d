"""Votes of the SWE Arena: two models' conversations about code and a vote between them -> a pair."""

from __future__ import annotations

from collections.abc import Mapping

from basereward.data_recipes.message_pairs import MessagePairs

from basereward.problems import Notes, shown
from basereward.recipes import Dropped
from basereward.records import Comparison
from basereward.screening import ALL_TIED

VOTES = {"vote_model_A": ("model_A", "model_B"), "vote_model_B": ("model_B", "model_A")}
# All four are named in bigcodereward/analyze_bigcode_reward_results.py of github.com/bigcode-project/bigcodearena.
TIES = ("vote_tie", "vote_both_bad")
LATER_TURNS_DIFFER = Dropped("several turns, answered by each model in its own way")
_ROLES = {"human": "user", "assistant": "assistant", "system": "system"}


class SWEArena(MessagePairs):
    """`states.model_A.messages` is a list of [speaker, text]; `feedback.vote_type` says who won.

    Each model answers every turn itself, so two conversations of several turns have different prompts: such rows are dropped.
    Screenshots and logs of the sandbox are not read.
    """

    columns = {"feedback": "object", "states": "object"}
    id_column = "chat_session_id"

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair that the vote makes."""
        vote = (row.get("feedback") or {}).get("vote_type")
        if vote in TIES:
            return Dropped(ALL_TIED)
        if vote not in VOTES:
            notes = Notes(where, str(row.get(self.id_column, "")))
            notes.add("unknown vote", f"`feedback.vote_type` among {', '.join([*VOTES, *TIES])}", shown(vote), "drop the row")
            notes.raise_if_any()
        better, worse = (_messages((row.get("states") or {}).get(name)) for name in VOTES[vote])
        if sum(turn["role"] == "user" for turn in better) > 1 and better[:-1] != worse[:-1]:
            return LATER_TURNS_DIFFER
        return super().comparison({self.id_column: row.get(self.id_column), "chosen": better, "rejected": worse}, where)


def _messages(state: object) -> list[dict]:
    """[["Human", "Hi"], ["Assistant", "Hello"]] -> messages, without empty turns: they end a conversation that broke off."""
    pairs = state.get("messages") if isinstance(state, Mapping) else None
    turns = [pair for pair in pairs or [] if isinstance(pair, list | tuple) and len(pair) == 2 and pair[1]]
    return [{"role": _ROLES.get(str(name).lower(), str(name)), "content": text} for name, text in turns]
