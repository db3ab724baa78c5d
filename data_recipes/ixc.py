"""InternLM-XComposer-2.5-Reward's training rows: two whole conversations, a better than b -> a comparison."""

from __future__ import annotations

from collections.abc import Mapping

from basereward.recipes import Recipe
from basereward.records import Comparison

IMAGE_MARKER = "<ImageHere>"


class IXC(Recipe):
    """`conversations_a` is preferred over `conversations_b`; `image` is a path or a list, relative to the file.

    With several images the text says where each stands ("Image1 <ImageHere>; Image2 <ImageHere>; ..."); with one it does not.
    Rows of the file that are records already are read as such.
    """

    columns = (
        {"conversations_a": "list of {from, value}", "conversations_b": "list of {from, value}"},
        {"chosen": "text or list of {from, value}", "rejected": "text or list of {from, value}"},
    )

    def comparison(self, row: Mapping, where: str) -> Comparison:
        """Conversation a as the chosen one, b as the rejected one."""
        if "conversations_a" not in row:
            return self.parse(row, where)
        rest = {key: value for key, value in row.items() if not key.startswith("conversations_")}
        conversations = {"chosen": _with_markers(row["conversations_a"]), "rejected": _with_markers(row["conversations_b"])}
        return self.parse(rest | conversations, where)


def _with_markers(conversation: object) -> object:
    """The conversation with our image marker in the place of theirs."""
    if not isinstance(conversation, list):
        return conversation
    return [
        turn | {"value": turn["value"].replace(IMAGE_MARKER, "<image>")} if isinstance(turn.get("value"), str) else turn
        for turn in conversation
    ]
