"""Tulu 3's judged answers to WildChat prompts: conversations that differ in their last answer -> pairs."""

from __future__ import annotations

from basereward.data_recipes.message_pairs import MessagePairs


class WildChatUltraFeedback(MessagePairs):
    """A row has `id`, `prompt`, `chosen` and `rejected`; five splits hold the answers of five pools of models."""

    columns = {"chosen": "list of {role, content}", "rejected": "list of {role, content}"}
    # All splits but wildchat_unused.
    repository_files = "data/wildchat_[ir]*.parquet"
    id_column = "id"
