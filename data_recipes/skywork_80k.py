"""Skywork's 80K reward preferences: conversations that differ in their last answer -> pairs."""

from __future__ import annotations

from basereward.data_recipes.message_pairs import MessagePairs


class Skywork80K(MessagePairs):
    """A row has `chosen`, `rejected` and `source`, the set it was sampled from; rows have no id."""

    columns = {"chosen": "list of {role, content}", "rejected": "list of {role, content}", "source": "text"}
    category_column = "source"
